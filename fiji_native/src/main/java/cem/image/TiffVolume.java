package cem.image;

import cem.bridge.Block;
import cem.core.Tiff;
import java.nio.file.Path;

/** A TIFF file, read page by page by the core. */
public final class TiffVolume extends Volume {
    private final Tiff tiff;

    public TiffVolume(Path path) {
        this(path.toString(), new Tiff(path));
    }

    private TiffVolume(String name, Tiff tiff) {
        super(name, new int[] {Math.toIntExact(tiff.pages), Math.toIntExact(tiff.height), Math.toIntExact(tiff.width)},
            tiff.type, tiff.pixelNm, tiff.spacingNm);
        this.tiff = tiff;
    }

    @Override
    public void read(int z, Block to, long at) {
        tiff.read(to, at, z);
    }

    @Override
    public void close() {
        tiff.close();
    }
}
