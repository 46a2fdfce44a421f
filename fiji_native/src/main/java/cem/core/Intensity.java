package cem.core;

import cem.bridge.Block;

/** How grey values enter the network: x = (pixel - offset) * scale. */
public final class Intensity {
    public final double offset;
    public final double scale;

    public Intensity(double offset, double scale) {
        this.offset = offset;
        this.scale = scale;
    }

    Intensity(Struct made) {
        this(made.real("offset"), made.real("scale"));
    }

    Struct struct() {
        return new Struct(Struct.INTENSITY).set("offset", offset).set("scale", scale);
    }

    /** The constants for 8-bit pixels of weights with a mean and deviation in units of 0..1. */
    public static Intensity fromNorms(double mean, double deviation) {
        try (Struct made = new Struct(Struct.INTENSITY); Block norms = Cem.allocate(2 * Double.BYTES)) {
            norms.view(0, 2 * Double.BYTES).putDouble(mean).putDouble(deviation);
            Cem.check(Cem.api().cem_intensity_from_norms(made.address(), norms.address()));
            return new Intensity(made);
        }
    }
}
