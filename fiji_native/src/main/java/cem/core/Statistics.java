package cem.core;

import cem.bridge.Block;

/** Running statistics of a volume's pixels, and of what tells it from its negative. */
public final class Statistics implements AutoCloseable {
    private static final int CONTRAST = 4 * 7;

    private final Struct pixels = new Struct(Struct.STATISTICS);
    private final Block contrast = Cem.allocate((1 + CONTRAST) * Long.BYTES);

    public Statistics() {
        contrast.view(0, (1 + CONTRAST) * Long.BYTES).put(new byte[(1 + CONTRAST) * Long.BYTES]);
    }

    public void add(Block page, PixelType type, long count) {
        Cem.check(Cem.api().cem_statistics_add(pixels.address(), page.address(), type.number, count));
    }

    public void addContrast(Block page, PixelType type, long height, long width) {
        Cem.check(Cem.api().cem_contrast_add(contrast.address(), page.address(), type.number, height, width));
    }

    public double minimum() {
        return pixels.real("minimum");
    }

    public double maximum() {
        return pixels.real("maximum");
    }

    public Intensity intensity() {
        try (Struct made = new Struct(Struct.INTENSITY)) {
            Cem.check(Cem.api().cem_intensity_measure(made.address(), pixels.address()));
            return new Intensity(made);
        }
    }

    /** Mean and deviation of 8-bit pixels in units of 0..1. */
    public double[] norms() {
        try (Block made = Cem.allocate(2 * Double.BYTES)) {
            Cem.check(Cem.api().cem_norms_measure(made.address(), pixels.address()));
            return doubles(made, 2);
        }
    }

    /** The mean contrast, (4, 7), as the network sees it. */
    public double[] contrast(Intensity intensity) {
        try (Block made = Cem.allocate(CONTRAST * Double.BYTES); Struct constants = intensity.struct()) {
            Cem.check(Cem.api().cem_contrast_mean(made.address(), contrast.address(), constants.address()));
            return doubles(made, CONTRAST);
        }
    }

    /** Whether {@code seen} is at least twice as near to {@code trained} once it is inverted. */
    public static boolean inverted(double[] trained, double[] seen) {
        try (Block a = block(trained); Block b = block(seen); Block out = Cem.allocate(Integer.BYTES)) {
            Cem.check(Cem.api().cem_contrast_inverted(out.address(), a.address(), b.address()));
            return out.view(0, Integer.BYTES).getInt() != 0;
        }
    }

    private static Block block(double[] values) {
        Block made = Cem.allocate((long) values.length * Double.BYTES);
        made.view(0, values.length * Double.BYTES).asDoubleBuffer().put(values);
        return made;
    }

    private static double[] doubles(Block block, int count) {
        double[] values = new double[count];
        block.view(0, count * Double.BYTES).asDoubleBuffer().get(values);
        return values;
    }

    @Override
    public void close() {
        pixels.close();
        contrast.close();
    }
}
