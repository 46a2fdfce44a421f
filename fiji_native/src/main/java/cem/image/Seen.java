package cem.image;

import cem.core.Intensity;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** A volume and the constants by which a network sees it. */
public final class Seen {
    public final Volume volume;
    public final Intensity intensity;
    /** Mean and deviation of the weights, or null if the rule does not use them. */
    public final List<Object> norms;

    private Seen(Volume volume, Intensity intensity, List<Object> norms) {
        this.volume = volume;
        this.intensity = intensity;
        this.norms = norms;
    }

    /** The rule "volume": zero mean and unit deviation. */
    public static Seen byVolume(Volume volume, Measured found) {
        return new Seen(volume, found.intensity, null);
    }

    /** The rule "norms"; without any those of the volume itself are taken. */
    public static Seen byNorms(Volume volume, Measured found, List<Object> norms) {
        Volume pixels = EightBit.of(volume, found.low, found.high);
        List<Object> taken = norms;
        if (taken == null) {
            double[] made = Measured.norms(pixels);
            taken = Arrays.asList(made[0], made[1]);
        }
        return new Seen(pixels, Intensity.fromNorms(real(taken.get(0)), real(taken.get(1))), taken);
    }

    /** The rule that is written in a model's card. */
    public static Seen byCard(Volume volume, Measured found, Map<String, Object> card) {
        if (!"norms".equals(card.get("intensity_rule"))) return byVolume(volume, found);
        return byNorms(volume, found, norms(card));
    }

    /** Mean and deviation in a card, or null. */
    @SuppressWarnings("unchecked")
    public static List<Object> norms(Map<String, Object> card) {
        return (List<Object>) card.get("norms");
    }

    private static double real(Object value) {
        return ((Number) value).doubleValue();
    }
}
