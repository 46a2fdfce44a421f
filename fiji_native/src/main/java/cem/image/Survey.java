package cem.image;

import cem.core.CemException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** What is annotated, and what is wrong with it. */
public final class Survey {
    private static final int BACKGROUND = 1;
    private static final int MOST_CLASSES = 255;
    private static final int MOST_VALUES = 64;

    /** Pixels of each label value, 0 left out unless every pixel counts. */
    public final SortedMap<Integer, Long> counts = new TreeMap<>();
    /** Slices with at least one annotated pixel. */
    public final List<Integer> slices = new ArrayList<>();
    private final String name;
    private final boolean dense;

    private Survey(String name, boolean dense) {
        this.name = name;
        this.dense = dense;
    }

    /**
     * Checks that these are labels of an image, and counts them.
     *
     * @param check called before every slice; what it throws ends the work
     */
    public static Survey of(Volume image, Labels labels, boolean dense, Runnable check) {
        Volume volume = labels.volume;
        if (image.depth != volume.depth || image.height != volume.height || image.width != volume.width)
            throw new CemException(volume.name + " is " + volume.describe() + " but " + image.name + " is " + image.describe()
                + "; labels have the shape of their image");
        Survey found = new Survey(volume.name, dense);
        for (int z = 0; z < volume.depth; z++) {
            check.run();
            found.add(z, labels.read(z));
        }
        if (Labels.looksLikeLabels(image))
            throw new CemException(image.name + " has at most 3 different values and looks like labels; "
                + "give the image first and then its labels");
        found.checkValues();
        return found;
    }

    private void add(int z, int[] page) {
        SortedMap<Integer, Long> here = new TreeMap<>();
        int last = -1, run = 0;
        for (int label : page) {
            if (label != last) {
                count(here, last, run);
                last = label;
                run = 0;
            }
            run++;
        }
        count(here, last, run);
        if (here.isEmpty()) return;
        slices.add(z);
        here.forEach((value, count) -> counts.merge(value, count, Long::sum));
        if (counts.size() > MOST_VALUES && here.values().stream().allMatch(count -> count < page.length / 2))
            throw new CemException(name + " looks like an image, with " + counts.size()
                + " different values; give the image first and then its labels");
    }

    private void count(SortedMap<Integer, Long> here, int value, int run) {
        if (run > 0 && (dense || value != 0)) here.merge(value, (long) run, Long::sum);
    }

    private void checkValues() {
        String painted = "; paint background (1) and at least one class (2, 3, ...)";
        if (counts.isEmpty()) throw new CemException(name + " has no annotated pixel: every value is 0" + painted);
        if (counts.size() == 1 && dense)
            throw new CemException("every pixel of " + name + " is " + counts.firstKey() + "; there is nothing to tell apart");
        if (counts.size() == 1 && counts.firstKey() == BACKGROUND)
            throw new CemException(name + " has only background (1); paint at least one class (2) too");
        if (!dense && !counts.containsKey(BACKGROUND))
            throw new CemException(name + " has the values " + listed(counts.keySet()) + "; paint background (1) too");
        if (counts.size() > MOST_CLASSES)
            throw new CemException(name + " has " + counts.size() + " different values; at most " + MOST_CLASSES);
    }

    /** Refuses labels of no class. */
    public void checkClasses(Collection<Integer> values) {
        for (int value : counts.keySet())
            if (!values.contains(value))
                throw new CemException(name + " has the label " + value + ", which is none of the classes' values "
                    + listed(values) + "; correct the labels, or name the classes with their values");
    }

    private static String listed(Collection<Integer> values) {
        return values.stream().map(String::valueOf).collect(Collectors.joining(", "));
    }
}
