package cem.job;

import cem.bridge.Block;
import cem.core.PixelType;
import ij.ImageStack;
import java.nio.ByteBuffer;

/** A stack of ImageJ. */
public final class StackPages implements Pages {
    private final PixelType type;
    public final ImageStack stack;

    public StackPages(int height, int width, PixelType type) {
        this.type = type;
        stack = new ImageStack(width, height);
    }

    @Override
    public void add(Block pixels, long at) {
        int count = stack.getWidth() * stack.getHeight();
        ByteBuffer page = pixels.view(at, count * type.bytes);
        if (type == PixelType.FLOAT32) {
            float[] values = new float[count];
            page.asFloatBuffer().get(values);
            stack.addSlice(null, values);
        } else if (type == PixelType.UINT16) {
            short[] values = new short[count];
            page.asShortBuffer().get(values);
            stack.addSlice(null, values);
        } else {
            byte[] values = new byte[count];
            page.get(values);
            stack.addSlice(null, values);
        }
    }

    @Override
    public void finish() {}

    @Override
    public void close() {}
}
