package cem.job;

import cem.bridge.Block;
import cem.core.PixelType;
import cem.core.Tiff;
import java.nio.file.Path;

/** A TIFF file, BigTIFF where it must be, written page by page by the core. */
public final class TiffPages implements Pages {
    private final Tiff tiff;

    public TiffPages(Path path, long[] shape, double[] sizes, PixelType type, int labels, boolean overwrite) {
        tiff = new Tiff(path, shape, sizes, type, labels, overwrite);
    }

    @Override
    public void add(Block pixels, long at) {
        tiff.write(pixels.address() + at);
    }

    @Override
    public void finish() {
        tiff.finish();
    }

    @Override
    public void close() {
        tiff.close();
    }
}
