package cem.core;

import cem.bridge.Block;

/** Training in native memory, step by step. */
public final class Trainer implements AutoCloseable {
    /** How far a training is. */
    public static final class Report {
        public final long step;
        public final long heldOut;
        public final double loss;

        Report(Struct made) {
            step = made.integer("step");
            heldOut = made.integer("held_out");
            loss = made.real("loss");
        }
    }

    private final int classes;
    private long handle;

    /** A trainer that starts from a copy of the model's weights. */
    public Trainer(Model model, TrainerOptions options) {
        classes = model.classes();
        long address = options.address(classes);
        handle = Cem.made(out -> Cem.api().cem_trainer_new(out, model.handle(), address));
    }

    /**
     * Adds an annotated image.
     *
     * @param pixels (height, width) of {@code type}
     * @param labels (height, width) int
     */
    public void set(long key, Block pixels, PixelType type, Block labels, long height, long width, Intensity intensity) {
        try (Struct constants = intensity.struct()) {
            Cem.check(Cem.api().cem_trainer_set(handle, key, pixels.address(), type.number, labels.address(), height, width,
                constants.address()));
        }
    }

    public Report step(long steps) {
        try (Struct report = new Struct(Struct.REPORT)) {
            Cem.check(Cem.api().cem_trainer_step(report.address(), handle, steps));
            return new Report(report);
        }
    }

    /** IoU of each class on the held-out strokes, NaN where none is held out. */
    public double[] evaluate() {
        int bytes = classes * Double.BYTES;
        try (Block iou = Cem.allocate(bytes); Block pixels = Cem.allocate(bytes)) {
            Cem.check(Cem.api().cem_trainer_evaluate(iou.address(), pixels.address(), handle));
            double[] found = new double[classes];
            for (int c = 0; c < classes; c++) {
                boolean there = pixels.view(0, bytes).getLong(c * Long.BYTES) > 0;
                found[c] = there ? iou.view(0, bytes).getDouble(c * Double.BYTES) : Double.NaN;
            }
            return found;
        }
    }

    /** Puts the best state (the last one, if none was evaluated) into the model. */
    public void commit(Model model) {
        Cem.check(Cem.api().cem_trainer_commit(handle, model.handle()));
    }

    /** Puts the weights of now into a copy of the model, to look at them. */
    public void snapshot(Model model) {
        Cem.check(Cem.api().cem_trainer_snapshot(handle, model.handle()));
    }

    /** Stops the step in progress, from any thread. */
    public void cancel() {
        Cem.api().cem_cancel(handle);
    }

    @Override
    public void close() {
        if (handle != 0) Cem.api().cem_trainer_free(handle);
        handle = 0;
    }
}
