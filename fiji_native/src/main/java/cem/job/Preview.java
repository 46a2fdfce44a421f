package cem.job;

import cem.bridge.Block;
import cem.core.Cem;
import cem.core.Model;
import cem.core.Trainer;
import cem.image.Seen;
import ij.ImagePlus;
import ij.gui.ImageRoi;
import ij.gui.Overlay;
import ij.process.ColorProcessor;
import java.awt.Color;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Shows on the slice one looks at what a model in training finds there, every few seconds; training goes on as without. */
final class Preview implements AutoCloseable {
    private static final double LEAST_SECONDS = 1;
    /** Of the time, at most one part in so many goes into previews. */
    private static final double SHARE = 4;
    private static final double OPACITY = 0.45;

    private final ImagePlus image;
    private final Seen seen;
    private final int threads;
    private final Model model;
    private final Map<Integer, Integer> colors = new HashMap<>();
    private ImageRoi shown;
    private long next = System.nanoTime();

    Preview(ImagePlus image, Model model, Seen seen, int threads) {
        this.image = image;
        this.seen = seen;
        this.threads = threads;
        this.model = model.copy();
        List<Map<String, Object>> classes = model.classEntries();
        for (Map<String, Object> entry : classes.subList(1, classes.size())) {
            Object color = entry.get("color");
            colors.put(Model.value(entry), color == null ? Color.RED.getRGB() : Color.decode((String) color).getRGB());
        }
    }

    /** Shows the weights of now if it is time. */
    void step(Trainer trainer) {
        long start = System.nanoTime();
        if (start < next || image.getWindow() == null) return;
        trainer.snapshot(model);
        int slice = image.getCurrentSlice();
        ImageRoi found = new ImageRoi(0, 0, new ColorProcessor(image.getWidth(), image.getHeight(), predict(slice - 1)));
        found.setZeroTransparent(true);
        found.setOpacity(OPACITY);
        found.setName("CEM preview");
        if (image.getStackSize() > 1) found.setPosition(slice);
        show(found);
        long now = System.nanoTime();
        next = now + (long) Math.max(LEAST_SECONDS * 1e9, (now - start) * (SHARE - 1));
    }

    private int[] predict(int z) {
        long area = seen.volume.pixels();
        int[] pixels = new int[(int) area];
        short[] labels = new short[pixels.length];
        try (Block page = seen.volume.room(1); Block out = Cem.allocate(model.classes() * area * Float.BYTES);
                Block values = Cem.allocate(area * Short.BYTES)) {
            seen.volume.read(z, page, 0);
            model.predict(out, page, seen.volume.type, 1, seen.volume.height, seen.volume.width, seen.intensity, threads);
            model.classify(values, out.address(), 1, area);
            values.view(0, labels.length * Short.BYTES).asShortBuffer().get(labels);
        }
        for (int i = 0; i < pixels.length; i++) pixels[i] = colors.getOrDefault(labels[i] & 0xffff, 0);
        return pixels;
    }

    private void show(ImageRoi found) {
        Overlay overlay = image.getOverlay();
        if (overlay == null) overlay = new Overlay();
        if (shown != null) overlay.remove(shown);
        if (found != null) overlay.add(found);
        shown = found;
        image.setOverlay(overlay.size() > 0 ? overlay : null);
    }

    /** Stops a prediction in progress, from any thread. */
    void cancel() {
        model.cancel();
    }

    @Override
    public void close() {
        if (shown != null) show(null);
        model.close();
    }
}
