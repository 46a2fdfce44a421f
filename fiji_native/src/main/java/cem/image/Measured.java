package cem.image;

import cem.bridge.Block;
import cem.core.CemException;
import cem.core.Intensity;
import cem.core.Statistics;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** What is measured on at most 64 evenly spaced slices of a volume. */
public final class Measured {
    private static final int SAMPLE_SLICES = 64;
    private static final int CONTRAST_SLICES = 8;
    private static final double PIXEL_SIZE_TOLERANCE = 1.2;

    public final Intensity intensity;
    public final double low;
    public final double high;
    /** (4, 7), in units of what the network sees. */
    public final double[] contrast;

    private Measured(Volume volume, Statistics found) {
        low = found.minimum();
        high = found.maximum();
        if (low == high)
            throw new CemException("every pixel of " + volume.name + " is " + low + "; give an image with something in it");
        intensity = found.intensity();
        contrast = found.contrast(intensity);
    }

    /** @param check called before every slice; what it throws ends the work */
    public static Measured of(Volume volume, Runnable check) {
        int[] slices = volume.sample(SAMPLE_SLICES);
        int every = Math.max(1, slices.length / CONTRAST_SLICES);
        try (Statistics found = new Statistics(); Block page = volume.room(1)) {
            for (int i = 0; i < slices.length; i++) {
                check.run();
                volume.read(slices[i], page, 0);
                found.add(page, volume.type, volume.pixels());
                if (i % every == 0) found.addContrast(page, volume.type, volume.height, volume.width);
            }
            return new Measured(volume, found);
        }
    }

    /** Mean and deviation of a volume of 8-bit pixels in units of 0..1. */
    static double[] norms(Volume volume) {
        try (Statistics found = new Statistics(); Block page = volume.room(1)) {
            for (int z : volume.sample(SAMPLE_SLICES)) {
                volume.read(z, page, 0);
                found.add(page, volume.type, volume.pixels());
            }
            return found.norms();
        }
    }

    /** A line for each thing in which a volume is not like those that a model was trained on. */
    public List<String> mismatches(Volume volume, Map<String, Object> card) {
        List<String> lines = new ArrayList<>();
        double trained = card.get("pixel_nm") == null ? 0 : ((Number) card.get("pixel_nm")).doubleValue();
        double ratio = trained == 0 || volume.pixelNm == 0 ? 1 : volume.pixelNm / trained;
        if (ratio < 1 / PIXEL_SIZE_TOLERANCE || ratio > PIXEL_SIZE_TOLERANCE)
            lines.add(String.format("the pixels of %s are %.6g nm, those of the model's training %.6g nm: structures look %.2g "
                + "times as large to it", volume.name, volume.pixelNm, trained, 1 / ratio));
        double[] known = contrast(card);
        if (known.length == contrast.length && Statistics.inverted(known, contrast))
            lines.add("the contrast of " + volume.name + " looks inverted against the model's training images; invert it if "
                + "dark and bright are swapped");
        return lines;
    }

    private static double[] contrast(Map<String, Object> card) {
        Object intensity = card.get("intensity");
        Object rows = intensity instanceof Map ? ((Map<?, ?>) intensity).get("contrast") : null;
        List<Double> found = new ArrayList<>();
        if (rows instanceof List)
            for (Object row : (List<?>) rows)
                for (Object value : row instanceof List ? (List<?>) row : new ArrayList<>())
                    found.add(value instanceof Number ? ((Number) value).doubleValue() : Double.NaN);
        return found.stream().mapToDouble(Double::doubleValue).toArray();
    }
}
