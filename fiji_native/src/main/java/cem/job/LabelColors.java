package cem.job;

import cem.core.Model;
import ij.process.LUT;
import java.awt.Color;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Colours of labels: those of a model's classes, and for others, by the method of Glasbey et al. (2007), always the
 * colour that is farthest from all those before.
 */
public final class LabelColors {
    private static final int STEP = 15;

    private final List<Color> taken = new ArrayList<>();
    private final int most;
    private final byte[][] channels = new byte[3][256];

    private LabelColors(int most) {
        this.most = most;
        taken.add(Color.BLACK);
    }

    /** For the labels of a model; the display range must be 0 to {@link #range}. */
    public static LUT of(List<Map<String, Object>> classes) {
        LabelColors colors = new LabelColors(classes.stream().mapToInt(Model::value).max().orElse(0));
        for (Map<String, Object> entry : classes) {
            Color own = entry.get("color") == null ? null : Color.decode((String) entry.get("color"));
            boolean background = colors.taken.size() == 1 && Color.BLACK.equals(own);
            colors.put(Model.value(entry), own != null && (background || !colors.taken.contains(own)) ? own : colors.farthest());
        }
        return colors.lut();
    }

    /** For labels from 1 to {@code most}. */
    public static LUT of(int most) {
        LabelColors colors = new LabelColors(most);
        for (int label = 1; label <= Math.min(most, 255); label++) colors.put(label, colors.farthest());
        return colors.lut();
    }

    /** Where the display range of labels up to {@code most} ends. */
    public static int range(int most) {
        return Math.max(most, 255);
    }

    private LUT lut() {
        LUT lut = new LUT(channels[0], channels[1], channels[2]);
        lut.min = 0;
        lut.max = range(most);
        return lut;
    }

    private void put(int label, Color color) {
        int index = Math.min(255, (int) (label * 256.0 / (range(most) + 1) + 0.5)); // as ImageJ scales 16 bits
        channels[0][index] = (byte) color.getRed();
        channels[1][index] = (byte) color.getGreen();
        channels[2][index] = (byte) color.getBlue();
        taken.add(color);
    }

    private Color farthest() {
        Color best = Color.WHITE;
        double distance = -1;
        for (int r = 0; r < 256; r += STEP)
            for (int g = 0; g < 256; g += STEP)
                for (int b = 0; b < 256; b += STEP) {
                    double nearest = Double.POSITIVE_INFINITY;
                    for (Color color : taken) nearest = Math.min(nearest, apart(color, r, g, b));
                    if (nearest > distance) {
                        distance = nearest;
                        best = new Color(r, g, b);
                    }
                }
        return best;
    }

    /** How different a colour looks: squared distance, weighted by the mean red as low-cost approximations of Lab are. */
    private static double apart(Color color, int r, int g, int b) {
        double red = (color.getRed() + r) / 2.0 / 256;
        double dr = color.getRed() - r, dg = color.getGreen() - g, db = color.getBlue() - b;
        return (2 + red) * dr * dr + 4 * dg * dg + (3 - red) * db * db;
    }
}
