package cem.command;

import cem.core.CemException;
import ij.ImagePlus;
import ij.WindowManager;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Map;
import java.util.TreeSet;

/** The options of one call, by key. */
final class Values {
    private final Map<String, String> values;

    Values(Map<String, String> values) {
        this.values = values;
    }

    String text(String key) {
        return values.get(key).trim();
    }

    boolean flag(String key) {
        return values.get(key).equals("true");
    }

    /** A number from 0 up. */
    double number(String key) {
        try {
            double value = Double.parseDouble(text(key));
            if (value >= 0 && value < Double.POSITIVE_INFINITY) return value;
        } catch (NumberFormatException error) {
            // told below
        }
        throw new CemException(key + " is '" + text(key) + "', must be a number from 0 up");
    }

    /** A whole number from 0 up. */
    long integer(String key) {
        try {
            long value = Long.parseLong(text(key));
            if (value >= 0) return value;
        } catch (NumberFormatException error) {
            // told below
        }
        throw new CemException(key + " is '" + text(key) + "', must be a whole number from 0 up");
    }

    int threads() {
        return (int) Math.min(integer("threads"), Integer.MAX_VALUE);
    }

    /** A path that must be there. */
    Path path(String key, String what) {
        if (text(key).isEmpty()) throw new CemException("give " + key + ", " + what);
        return Paths.get(text(key));
    }

    /** The open image that is named, or the current one. */
    ImagePlus image(String key) {
        String title = text(key);
        ImagePlus image = title.isEmpty() ? WindowManager.getCurrentImage() : WindowManager.getImage(title);
        if (image != null) return image;
        throw new CemException(title.isEmpty() ? "there is no image open; open one first"
            : "no open image is called '" + title + "'");
    }

    /** Numbers of slices from 0, of a text like "1-3,7"; all if it is empty. */
    int[] slices(String key, int depth) {
        TreeSet<Integer> found = new TreeSet<>();
        String text = text(key).isEmpty() ? "1-" + depth : text(key);
        for (String part : text.split(",")) {
            String[] ends = part.trim().split("-", -1);
            if (ends.length > 2 || !part.trim().matches("\\d{1,9}(-\\d{1,9})?"))
                throw new CemException(key + " is '" + text + "'; write numbers and ranges with commas between them, as in 1-3,7");
            int first = Integer.parseInt(ends[0]), last = Integer.parseInt(ends[ends.length - 1]);
            if (first < 1 || last < first || last > depth)
                throw new CemException(key + " has " + part.trim() + "; slices are 1 to " + depth);
            for (int z = first; z <= last; z++) found.add(z - 1);
        }
        return found.stream().mapToInt(Integer::intValue).toArray();
    }
}
