package cem.image;

import cem.bridge.Block;
import cem.core.Cem;
import cem.core.CemException;
import cem.core.PixelType;
import ij.ImagePlus;
import ij.measure.Calibration;
import ij.process.ImageProcessor;
import java.nio.ByteBuffer;

/** An open image of ImageJ, a virtual one too. */
public final class StackVolume extends Volume {
    private static final short SIGN = (short) 0x8000;

    public final ImagePlus image;

    public StackVolume(ImagePlus image) {
        super(image.getTitle(), shape(image), type(image), pixelNm(image), spacingNm(image));
        this.image = image;
    }

    private static int[] shape(ImagePlus image) {
        if (image.getNChannels() > 1 || (image.getNFrames() > 1 && image.getNSlices() > 1))
            throw new CemException(image.getTitle() + " has several channels or times; give one grey image or stack");
        return new int[] {image.getStackSize(), image.getHeight(), image.getWidth()};
    }

    private static PixelType type(ImagePlus image) {
        switch (image.getType()) {
            case ImagePlus.GRAY8: return PixelType.UINT8;
            case ImagePlus.COLOR_256: return PixelType.UINT8;
            case ImagePlus.GRAY16: return image.getCalibration().isSigned16Bit() ? PixelType.INT16 : PixelType.UINT16;
            case ImagePlus.GRAY32: return PixelType.FLOAT32;
            default: throw new CemException(image.getTitle() + " is a colour image; convert it to one grey channel");
        }
    }

    private static double pixelNm(ImagePlus image) {
        Calibration calibration = image.getCalibration();
        return Cem.nanometres(calibration.pixelWidth, calibration.getXUnit());
    }

    private static double spacingNm(ImagePlus image) {
        Calibration calibration = image.getCalibration();
        return Cem.nanometres(calibration.pixelDepth, calibration.getZUnit());
    }

    @Override
    public void read(int z, Block to, long at) {
        ImageProcessor slice = image.getStack().getProcessor(z + 1);
        Object pixels = slice.getPixels();
        if (pixels instanceof byte[]) {
            to.view(at, (int) bytes()).put((byte[]) pixels);
        } else if (pixels instanceof float[]) {
            to.view(at, (int) bytes()).asFloatBuffer().put((float[]) pixels);
        } else {
            put(to.view(at, (int) bytes()), (short[]) pixels);
        }
    }

    /** ImageJ keeps signed pixels with 32768 added. */
    private void put(ByteBuffer to, short[] pixels) {
        if (type == PixelType.UINT16) {
            to.asShortBuffer().put(pixels);
            return;
        }
        for (short pixel : pixels) to.putShort((short) (pixel ^ SIGN));
    }
}
