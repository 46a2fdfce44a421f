package cem.core;

import cem.bridge.Block;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** Options of training by their names in {@code cem.h}; choices have names too. */
public final class TrainerOptions implements AutoCloseable {
    public static final List<String> RECIPES = names("interactive", "cem500k");
    public static final List<String> FREEZE = names("none", "layer1", "layer2", "layer3", "layer4", "all");
    private static final Map<String, List<String>> NAMED = new LinkedHashMap<>();
    /** What the result does not depend on, or what is said elsewhere. */
    private static final List<String> UNTOLD = names("threads", "reserved", "milestone_count", "feature_bytes", "recipe");

    static {
        NAMED.put("optimizer", names("adamw", "sgd"));
        NAMED.put("schedule", names("constant", "onecycle", "poly", "multistep"));
        NAMED.put("freeze", FREEZE);
    }

    private final Struct struct = new Struct(Struct.TRAINER);
    private final List<Block> arrays = new ArrayList<>();
    private final Map<String, Object> told = new LinkedHashMap<>();
    private final Set<String> given = new HashSet<>();
    public final String recipe;

    /** The defaults of a recipe. */
    public TrainerOptions(String recipe) {
        this.recipe = recipe;
        Cem.check(Cem.api().cem_trainer_defaults(struct.address(), struct.size(), choice("recipe", recipe, RECIPES)));
        for (String name : struct.names()) told.put(name, struct.isPointer(name) ? null : struct.get(name));
        told.keySet().removeAll(UNTOLD);
    }

    /** Changes what was not set to what suits the model better. */
    public TrainerOptions suit(Model model) {
        try (Struct suited = new Struct(Struct.TRAINER)) {
            Cem.check(Cem.api().cem_trainer_defaults(suited.address(), suited.size(), choice("recipe", recipe, RECIPES)));
            Cem.check(Cem.api().cem_trainer_suit(suited.address(), model.handle()));
            for (String name : suited.names()) {
                if (suited.isPointer(name) || given.contains(name) || UNTOLD.contains(name)) continue;
                struct.set(name, suited.get(name));
                told.put(name, suited.get(name));
            }
        }
        return this;
    }

    private static List<String> names(String... names) {
        return Arrays.asList(names);
    }

    private static int choice(String name, Object value, List<String> choices) {
        int index = choices.indexOf(value);
        if (index < 0) throw new CemException(name + " is " + value + "; it must be one of " + String.join(", ", choices));
        return index;
    }

    /** Sets an option to a number, the name of a choice, or a list of numbers. */
    public TrainerOptions set(String name, Object value) {
        if (NAMED.containsKey(name)) {
            int number = choice(name, value, NAMED.get(name));
            return set(name.equals("freeze") ? "first_stage" : name, (Object) (long) number);
        }
        if (!struct.has(name) || (UNTOLD.contains(name) && !name.equals("threads") && !name.equals("feature_bytes"))) {
            throw new CemException("there is no option " + name + "; there are " + String.join(", ", offered()));
        }
        given.add(name);
        if (struct.isPointer(name)) setArray(name, value instanceof List ? (List<?>) value : Collections.singletonList(value));
        else setNumber(name, value);
        return this;
    }

    private TreeSet<String> offered() {
        TreeSet<String> offered = new TreeSet<>(told.keySet());
        offered.addAll(NAMED.keySet());
        offered.add("feature_bytes");
        offered.remove("first_stage");
        return offered;
    }

    private void setNumber(String name, Object value) {
        if (!(value instanceof Number)) throw new CemException(name + " is " + value + ", must be a number");
        struct.set(name, (Number) value);
        if (!UNTOLD.contains(name)) told.put(name, value);
    }

    private void setArray(String name, List<?> values) {
        boolean integers = name.equals("milestones");
        Block block = Cem.allocate((long) values.size() * Long.BYTES);
        arrays.add(block);
        List<Number> kept = new ArrayList<>();
        for (Object value : values) {
            if (!(value instanceof Number) || (integers && !(value instanceof Long)))
                throw new CemException(name + " has " + value + ", must be " + (integers ? "whole numbers" : "numbers"));
            int at = kept.size() * Long.BYTES;
            if (integers) block.view(at, Long.BYTES).putLong(((Number) value).longValue());
            else block.view(at, Double.BYTES).putDouble(((Number) value).doubleValue());
            kept.add(integers ? (Number) value : (Number) ((Number) value).doubleValue());
        }
        struct.set(name, block.address());
        if (integers) struct.set("milestone_count", (long) kept.size());
        told.put(name, kept);
    }

    long address(int classes) {
        Object weights = told.get("class_weights");
        if (weights != null && ((List<?>) weights).size() != classes)
            throw new CemException("class_weights are " + ((List<?>) weights).size() + ", must be " + classes + ", one a class");
        return struct.address();
    }

    public long steps() {
        return struct.integer("steps");
    }

    /** Whether every pixel counts and label 0 is a class. */
    public boolean dense() {
        return struct.integer("dense") != 0;
    }

    /** What the card says of them. */
    public Map<String, Object> told() {
        Map<String, Object> fields = new LinkedHashMap<>(told);
        fields.put("recipe", recipe);
        return fields;
    }

    @Override
    public void close() {
        struct.close();
        arrays.forEach(Block::close);
    }
}
