package cem.image;

import cem.bridge.Block;
import cem.core.Cem;
import cem.core.PixelType;

/** A volume as 8-bit pixels, stretched from [low, high] to [0, 255]. */
final class EightBit extends Volume {
    private final Volume volume;
    private final double low;
    private final double high;

    private EightBit(Volume volume, double low, double high) {
        super(volume.name, volume.shape(), PixelType.UINT8, volume.pixelNm, volume.spacingNm);
        this.volume = volume;
        this.low = low;
        this.high = high;
    }

    /** 8-bit volumes stay as they are. */
    static Volume of(Volume volume, double low, double high) {
        return volume.type == PixelType.UINT8 ? volume : new EightBit(volume, low, high);
    }

    @Override
    public void read(int z, Block to, long at) {
        try (Block page = volume.room(1)) {
            volume.read(z, page, 0);
            Cem.check(Cem.api().cem_stretch(to.address() + at, page.address(), volume.type.number, pixels(), low, high));
        }
    }
}
