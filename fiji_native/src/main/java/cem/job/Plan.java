package cem.job;

import cem.core.CemException;
import cem.core.Json;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What a training is to do; docs/command-line.md explains each field. */
public final class Plan {
    public String weights = "cem500k";
    public String recipe = "interactive";
    /** Names by label value, or nothing for what the labels hold. */
    public Map<Integer, String> classes = new LinkedHashMap<>();
    /** Names from the background's label value on, if they have no values. */
    public String[] names = {};
    public long steps;
    public double seconds;
    /** null is the recipe's. */
    public Boolean dense;
    public long seed;
    public int threads;
    public double pixelNm;
    /** Further options of training by name: a number, a list of numbers, or the name of a choice. */
    public Map<String, Object> options = new LinkedHashMap<>();

    /** Reads "background,mitochondria" or "background=0,myelin=127,axon=255". */
    public void parseClasses(String text) {
        if (text.trim().isEmpty()) return;
        String[] parts = text.trim().split("\\s*,\\s*", -1);
        if (!text.contains("=")) {
            for (String part : parts) if (part.isEmpty()) throw wrongClasses(text);
            names = parts;
            return;
        }
        for (String part : parts) {
            String[] sides = part.split("\\s*=\\s*", -1);
            if (sides.length != 2 || sides[0].isEmpty() || !sides[1].matches("\\d{1,5}")) throw wrongClasses(text);
            if (classes.put(Integer.valueOf(sides[1]), sides[0]) != null) throw wrongClasses(text);
        }
    }

    private static CemException wrongClasses(String text) {
        return new CemException("classes is '" + text + "'; write names with commas between them, or NAME=VALUE for "
            + "every class, each with its own value");
    }

    /** Reads "batch=8 class_weights=0.1,1,3". */
    public void parseOptions(String text) {
        for (String setting : text.trim().split("\\s+")) {
            if (setting.isEmpty()) continue;
            String[] sides = setting.split("=", -1);
            if (sides.length != 2 || sides[0].isEmpty() || sides[1].isEmpty())
                throw new CemException("set has '" + setting + "'; write NAME=VALUE, as in batch=8");
            options.put(sides[0], value(sides[1]));
        }
    }

    private static Object value(String text) {
        List<Object> values = new ArrayList<>();
        for (String part : text.split(",", -1))
            values.add(part.matches("[-+.0-9eE]*[0-9][-+.0-9eE]*") ? Json.number(part) : part);
        return values.size() == 1 ? values.get(0) : values;
    }

    /** Whether every pixel counts and label 0 is the background. */
    boolean isDense() {
        return dense == null ? recipe.equals("cem500k") : dense;
    }

    /** Label values by the names that are given. */
    public Map<String, Integer> values() {
        Map<String, Integer> found = new LinkedHashMap<>();
        classes.forEach((value, name) -> found.put(name, value));
        for (int i = 0; i < names.length; i++) found.put(names[i], (isDense() ? 0 : 1) + i);
        return found;
    }
}
