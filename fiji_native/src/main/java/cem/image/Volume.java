package cem.image;

import cem.bridge.Block;
import cem.core.Cem;
import cem.core.PixelType;

/** An image or a stack that is read one slice at a time. */
public abstract class Volume implements AutoCloseable {
    public final String name;
    public final int depth;
    public final int height;
    public final int width;
    public final PixelType type;
    /** Side of a pixel and distance of slices in nanometres; 0 if not known. */
    public final double pixelNm;
    public final double spacingNm;

    Volume(String name, int[] shape, PixelType type, double pixelNm, double spacingNm) {
        this.name = name;
        depth = shape[0];
        height = shape[1];
        width = shape[2];
        this.type = type;
        this.pixelNm = pixelNm;
        this.spacingNm = spacingNm;
    }

    /** Copies the pixels of slice {@code z} to byte {@code at} of a block. */
    public abstract void read(int z, Block to, long at);

    public int[] shape() {
        return new int[] {depth, height, width};
    }

    /** Pixels of a slice. */
    public long pixels() {
        return (long) height * width;
    }

    /** Bytes of a slice. */
    public long bytes() {
        return pixels() * type.bytes;
    }

    /** Room for some slices. */
    public Block room(long slices) {
        return Cem.allocate(slices * bytes());
    }

    /** Numbers of at most so many evenly spaced slices, the first and the last among them. */
    public int[] sample(int most) {
        int bytes = most * Long.BYTES;
        try (Block slices = Cem.allocate(bytes)) {
            long count = Cem.api().cem_sample(slices.address(), depth, most);
            Cem.check(count);
            int[] found = new int[(int) count];
            for (int i = 0; i < count; i++) found[i] = (int) slices.view(0, bytes).getLong(i * Long.BYTES);
            return found;
        }
    }

    /** Shape and type in words, "64 x 250 x 250 uint8". */
    public String describe() {
        return (depth > 1 ? depth + " x " : "") + height + " x " + width + " " + type.text();
    }

    @Override
    public void close() {}
}
