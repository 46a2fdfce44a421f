package cem.core;

import cem.bridge.Block;
import java.nio.file.Path;

/** A TIFF file that is read or written page by page. */
public final class Tiff implements AutoCloseable {
    public final long pages;
    public final long height;
    public final long width;
    public final double pixelNm;
    public final double spacingNm;
    public final PixelType type;
    private long handle;

    /** Opens a file whose pages are single-channel images of one shape and type. */
    public Tiff(Path path) {
        handle = Cem.made(out -> Cem.with(path, text -> Cem.api().cem_tiff_open(out, text)));
        try (Struct info = new Struct(Struct.TIFF)) {
            Cem.check(Cem.api().cem_tiff_describe(info.address(), handle));
            pages = info.integer("pages");
            height = info.integer("height");
            width = info.integer("width");
            pixelNm = info.real("pixel_nm");
            spacingNm = info.real("spacing_nm");
            type = PixelType.of(info.integer("type"));
        }
    }

    /**
     * Starts a new file; nothing is at {@code path} until {@link #finish}.
     *
     * @param shape pages, height, width
     * @param sizes nanometres of a pixel and between slices, 0 if unknown
     * @param labels 0, or the largest label value
     */
    public Tiff(Path path, long[] shape, double[] sizes, PixelType type, int labels, boolean overwrite) {
        pages = shape[0];
        height = shape[1];
        width = shape[2];
        pixelNm = sizes[0];
        spacingNm = sizes[1];
        this.type = type;
        try (Struct info = new Struct(Struct.TIFF)) {
            info.set("pages", pages).set("height", height).set("width", width).set("type", type.number);
            info.set("pixel_nm", pixelNm).set("spacing_nm", spacingNm);
            handle = Cem.made(out -> Cem.with(path,
                text -> Cem.api().cem_tiff_new(out, text, info.address(), labels, overwrite ? 1 : 0)));
        }
    }

    public void read(Block to, long at, long page) {
        Cem.check(Cem.api().cem_tiff_read(to.address() + at, handle, page));
    }

    /** Appends the page whose pixels are at an address. */
    public void write(long pixels) {
        Cem.check(Cem.api().cem_tiff_write(handle, pixels));
    }

    /** Puts a file all of whose pages were written into place. */
    public void finish() {
        Cem.check(Cem.api().cem_tiff_finish(handle));
    }

    @Override
    public void close() {
        if (handle != 0) Cem.api().cem_tiff_free(handle);
        handle = 0;
    }
}
