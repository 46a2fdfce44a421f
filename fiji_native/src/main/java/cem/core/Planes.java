package cem.core;

import cem.bridge.Block;

/** Directions of slices through a volume, and what is put together from them. */
public enum Planes {
    XY, XZ, YZ;

    /** Number, height and width of the slices of this plane in a volume. */
    public long[] shape(long depth, long height, long width) {
        switch (this) {
            case XZ: return new long[] {height, depth, width};
            case YZ: return new long[] {width, depth, height};
            default: return new long[] {depth, height, width};
        }
    }

    /** Copies slices [first, first + count) out of a volume. */
    public void gather(Block out, Block volume, PixelType type, long[] shape, long first, long count) {
        Cem.check(Cem.api().cem_planes_gather(out.address(), volume.address(), type.number, shape[0], shape[1], shape[2],
            ordinal(), first, count));
    }

    /** Adds the probabilities of such slices to (depth, classes - 1, height, width) sums. */
    public void add(Block sums, Block probabilities, int classes, long[] shape, long first, long count) {
        Cem.check(Cem.api().cem_planes_add(sums.address(), probabilities.address(), classes, shape[0], shape[1], shape[2],
            ordinal(), first, count));
    }

    /**
     * The mean over so many planes.
     *
     * @param out (classes, pixels) float
     * @param sums address of (classes - 1, pixels) float
     */
    public static void mean(Block out, long sums, int classes, long pixels, int planes) {
        Cem.check(Cem.api().cem_planes_mean(out.address(), sums, classes, pixels, planes));
    }
}
