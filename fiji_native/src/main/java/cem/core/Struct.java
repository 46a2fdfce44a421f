package cem.core;

import cem.bridge.Block;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;

/** A struct of {@code cem.h} in native memory, its fields by their names. */
public final class Struct implements AutoCloseable {
    static final String MODEL = "long seed, int classes, int width0, int width1, int width2, int width3, int width4";
    static final String PREDICT = "long tile, long halo, long first_tile, long tiles, int threads, int output, long slice,"
        + " long feature_bytes";
    static final String TRAINER = "long seed, long steps, long batch, long crop, long feature_bytes, pointer class_weights,"
        + " pointer milestones, long milestone_count, double learning_rate, double weight_decay, double momentum,"
        + " double power, double body_rate, int recipe, int optimizer, int schedule, int first_stage, int train_norms, int dense,"
        + " int restatistics, int augmentations, int threads, int reserved";
    static final String REPORT = "long step, long held_out, double loss, double rate, double iou";
    static final String TIFF = "long pages, long height, long width, double pixel_nm, double spacing_nm, int type,"
        + " int reserved";
    static final String STATISTICS = "long count, long at_minimum, long at_maximum, double minimum, double maximum,"
        + " double shift, double sum, double squares";
    static final String INTENSITY = "double offset, double scale";

    private static final class Field {
        final String kind;
        final int at;

        Field(String kind, int at) {
            this.kind = kind;
            this.at = at;
        }
    }

    private final Map<String, Field> fields = new LinkedHashMap<>();
    private final Block block;
    private final int size;

    /** All zeros; {@code declaration} names types and fields in the header's order. */
    Struct(String declaration) {
        int at = 0, widest = Integer.BYTES;
        for (String field : declaration.split(", *")) {
            String[] words = field.split(" ");
            int bytes = words[0].equals("int") ? Integer.BYTES : Long.BYTES;
            at = (at + bytes - 1) / bytes * bytes;
            fields.put(words[1], new Field(words[0], at));
            at += bytes;
            widest = Math.max(widest, bytes);
        }
        size = (at + widest - 1) / widest * widest;
        block = Cem.allocate(size);
        view().put(new byte[size]);
    }

    long address() {
        return block.address();
    }

    /** What {@code sizeof} says. */
    long size() {
        return size;
    }

    private ByteBuffer view() {
        return block.view(0, size);
    }

    /** Names of the fields in the header's order. */
    Iterable<String> names() {
        return fields.keySet();
    }

    boolean has(String name) {
        return fields.containsKey(name);
    }

    boolean isPointer(String name) {
        return fields.get(name).kind.equals("pointer");
    }

    /** A Long, or a Double. */
    Number get(String name) {
        Field field = fields.get(name);
        switch (field.kind) {
            case "int": return (long) view().getInt(field.at);
            case "double": return view().getDouble(field.at);
            default: return view().getLong(field.at);
        }
    }

    long integer(String name) {
        return get(name).longValue();
    }

    double real(String name) {
        return get(name).doubleValue();
    }

    Struct set(String name, Number value) {
        Field field = fields.get(name);
        if (field.kind.equals("double")) {
            view().putDouble(field.at, value.doubleValue());
            return this;
        }
        if (!(value instanceof Integer || value instanceof Long))
            throw new CemException(name + " is " + value + ", must be a whole number");
        if (field.kind.equals("int")) {
            if (value.longValue() != value.intValue())
                throw new CemException(name + " is " + value + ", must be from -2147483648 to 2147483647");
            view().putInt(field.at, value.intValue());
        } else {
            view().putLong(field.at, value.longValue());
        }
        return this;
    }

    @Override
    public void close() {
        block.close();
    }
}
