package cem.image;

import cem.bridge.Block;
import cem.core.CemException;
import cem.core.PixelType;
import java.nio.ByteBuffer;
import java.util.HashSet;
import java.util.Set;

/** Labels: a volume whose pixels are whole numbers from 0 to 65535. */
public final class Labels {
    private static final int LARGEST = 65535;

    public final Volume volume;

    public Labels(Volume volume) {
        this.volume = volume;
    }

    /** Label values of slice {@code z}, row by row. */
    public int[] read(int z) {
        int[] labels = new int[Math.toIntExact(volume.pixels())];
        try (Block page = volume.room(1)) {
            volume.read(z, page, 0);
            ByteBuffer bytes = page.view(0, Math.toIntExact(volume.bytes()));
            for (int i = 0; i < labels.length; i++) labels[i] = check(label(bytes, i), z);
        }
        return labels;
    }

    private double label(ByteBuffer pixels, int i) {
        switch (volume.type) {
            case UINT8: return pixels.get(i) & 0xff;
            case INT8: return pixels.get(i);
            case UINT16: return pixels.getShort(2 * i) & 0xffff;
            case INT16: return pixels.getShort(2 * i);
            case UINT32: return pixels.getInt(4 * i) & 0xffffffffL;
            case INT32: return pixels.getInt(4 * i);
            case FLOAT32: return pixels.getFloat(4 * i);
            default: return pixels.getDouble(8 * i);
        }
    }

    private int check(double label, int z) {
        if (label >= 0 && label <= LARGEST && label == (int) label) return (int) label;
        throw new CemException(volume.name + " has the label " + text(label) + " in slice " + (z + 1)
            + "; labels are whole numbers from 0 to " + LARGEST);
    }

    private static String text(double label) {
        return label == (long) label ? String.valueOf((long) label) : String.valueOf(label);
    }

    /** Whether an image has so few values that it must be labels. */
    static boolean looksLikeLabels(Volume image) {
        Set<Double> values = new HashSet<>();
        try (Block page = image.room(1)) {
            for (int z : image.sample(4)) {
                image.read(z, page, 0);
                Labels labels = new Labels(image);
                ByteBuffer bytes = page.view(0, Math.toIntExact(image.bytes()));
                for (int i = 0; i < image.pixels(); i++)
                    if (values.add(labels.label(bytes, i)) && values.size() > 3) return false;
            }
        }
        return true;
    }

    /** The smallest type that holds label values up to {@code most}. */
    public static PixelType type(int most) {
        return most <= 255 ? PixelType.UINT8 : PixelType.UINT16;
    }
}
