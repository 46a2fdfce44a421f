package cem.job;

import cem.bridge.Block;
import cem.core.Cem;
import cem.core.Json;
import cem.core.Model;
import cem.core.Safetensors;
import cem.core.Trainer;
import cem.core.TrainerOptions;
import cem.image.Labels;
import cem.image.Measured;
import cem.image.Seen;
import cem.image.Survey;
import cem.image.Volume;
import ij.ImagePlus;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Training a model on an annotated image, to the bits of {@code napari-cem finetune}. */
public final class Training implements AutoCloseable {
    private static final int EVALUATE_EVERY = 10;
    private static final double SECONDS = 60;

    private final Volume image;
    private final Labels labels;
    private final Plan plan;
    private final Progress progress;
    private final TrainerOptions options;
    private final Survey survey;
    private final Measured found;
    private final Seen seen;
    private final MessageDigest digest = Weights.newSha256();
    private final Trainer trainer;
    public final Model model;
    private double[] iou;
    private long step;
    private double loss;

    /** Checks and measures everything, and makes the model to start from. */
    public Training(Volume image, Labels labels, Plan plan, Progress progress) {
        this.image = image;
        this.progress = progress;
        this.labels = labels;
        this.plan = plan;
        options = options(plan);
        survey = Survey.of(image, labels, plan.isDense(), progress::check);
        found = Measured.of(image, progress::check);
        Map<Integer, String> classes = classes();
        survey.checkClasses(classes.keySet());
        progress.check();
        model = start(classes);
        try {
            progress.check();
            seen = plan.recipe.equals("cem500k") ? Seen.byNorms(image, found, Seen.norms(model.card()))
                : Seen.byVolume(image, found);
            trainer = new Trainer(model, options.suit(model));
        } catch (RuntimeException error) {
            model.close();
            throw error;
        }
    }

    private static TrainerOptions options(Plan plan) {
        TrainerOptions options = new TrainerOptions(plan.recipe);
        options.set("seed", plan.seed).set("threads", (long) plan.threads);
        plan.options.forEach(options::set);
        if (plan.dense != null) options.set("dense", plan.dense ? 1L : 0L);
        if (plan.recipe.equals("cem500k") && plan.steps > 0) options.set("steps", plan.steps);
        return options;
    }

    /** Class names by label value, background first. */
    private Map<Integer, String> classes() {
        Map<Integer, String> classes = new LinkedHashMap<>();
        int background = plan.isDense() ? 0 : 1;
        if (!plan.classes.isEmpty()) return plan.classes;
        for (String name : plan.names) classes.put(background + classes.size(), name);
        if (!classes.isEmpty()) return classes;
        classes.put(background, "background");
        for (int value : survey.counts.keySet()) if (value != background) classes.put(value, "class " + value);
        return classes;
    }

    private Model start(Map<Integer, String> classes) {
        Path named = Paths.get(plan.weights);
        if (!plan.weights.equals(Weights.SCRATCH) && Files.isRegularFile(named)) {
            List<Integer> known = new ArrayList<>();
            for (Map<String, Object> entry : Model.entries(Safetensors.card(named))) known.add(Model.value(entry));
            if (known.equals(new ArrayList<>(classes.keySet()))) return goOn(Model.load(named), classes);
        }
        Model made = Model.random(classes.size(), plan.seed);
        try {
            progress.check();
            Map<String, Object> fields = Weights.load(made, plan.weights);
            fields.put("classes", entries(made, classes));
            double size = plan.pixelNm > 0 ? plan.pixelNm : image.pixelNm;
            fields.put("pixel_nm", size > 0 ? size : null);
            made.updateCard(fields);
            return made;
        } catch (RuntimeException error) {
            made.close();
            throw error;
        }
    }

    private Model goOn(Model loaded, Map<Integer, String> classes) {
        Map<String, Object> fields = new LinkedHashMap<>();
        if (plan.pixelNm > 0) fields.put("pixel_nm", plan.pixelNm);
        if (!plan.classes.isEmpty() || plan.names.length > 0) fields.put("classes", entries(loaded, classes));
        loaded.updateCard(fields);
        return loaded;
    }

    /** The classes of a model with other names and label values. */
    private static List<Object> entries(Model model, Map<Integer, String> classes) {
        List<Object> entries = new ArrayList<>(model.classEntries());
        int index = 0;
        for (Map.Entry<Integer, String> one : classes.entrySet()) {
            Map<String, Object> entry = Json.object(entries.get(index++));
            entry.put("value", (long) one.getKey());
            entry.put("name", one.getValue());
        }
        return entries;
    }

    /**
     * Trains until the budget is spent; the model then holds the best state.
     *
     * @param window the image on whose current slice the model in training is shown, or null
     */
    public void run(ImagePlus window) {
        try (Preview preview = window == null ? null : new Preview(window, model, seen, plan.threads)) {
            progress.onCancel(() -> {
                trainer.cancel();
                if (preview != null) preview.cancel();
            });
            try {
                train(preview);
            } finally {
                progress.onCancel(() -> {});
            }
        }
    }

    private void train(Preview preview) {
        add();
        boolean scheduled = plan.recipe.equals("cem500k") && plan.steps == 0 && plan.seconds == 0;
        long steps = scheduled ? options.steps() : plan.steps;
        double seconds = plan.seconds > 0 ? plan.seconds : steps > 0 ? Double.POSITIVE_INFINITY : SECONDS;
        long start = System.nanoTime();
        boolean measured = true;
        for (double spent = 0; step == 0 || ((steps == 0 || step < steps) && spent < seconds);
                spent = (System.nanoTime() - start) / 1e9) {
            measured = step();
            double share = Math.max(steps > 0 ? (double) step / steps : 0, spent / seconds);
            progress.show(share, "step " + step + String.format(", loss %.4f", loss));
            if (preview != null) preview.step(trainer);
        }
        if (!measured) iou = trainer.evaluate();
        progress.check();
        trainer.commit(model);
        model.updateCard(provenance());
    }

    /** Does one step; whether its state is measured on the held-out strokes, or cannot be. */
    private boolean step() {
        Trainer.Report report = trainer.step(1);
        step = report.step;
        loss = report.loss;
        if (report.heldOut == 0) return true;
        if (step % EVALUATE_EVERY != 0) return false;
        iou = trainer.evaluate();
        return true;
    }

    private void add() {
        try (Block pixels = seen.volume.room(1); Block values = Cem.allocate(Integer.BYTES * image.pixels())) {
            int bytes = Math.toIntExact(seen.volume.bytes());
            int labelBytes = Math.toIntExact(Integer.BYTES * image.pixels());
            for (int z : survey.slices) {
                progress.check();
                seen.volume.read(z, pixels, 0);
                values.view(0, labelBytes).asIntBuffer().put(labels.read(z));
                digest.update(pixels.view(0, bytes));
                digest.update(values.view(0, labelBytes));
                trainer.set(z, pixels, seen.volume.type, values, image.height, image.width, seen.intensity);
            }
        }
    }

    private Map<String, Object> provenance() {
        Map<String, Object> fields = new LinkedHashMap<>();
        Map<String, Object> training = options.told();
        training.put("steps_done", step);
        fields.put("training", training);
        fields.put("intensity_rule", plan.recipe.equals("cem500k") ? "norms" : "volume");
        fields.put("data", Collections.singletonList(source()));
        fields.put("library", Cem.version());
        if (seen.norms != null) fields.put("norms", seen.norms);
        List<List<Double>> contrast = new ArrayList<>();
        for (int row = 0; row < 4; row++) {
            contrast.add(new ArrayList<>());
            for (int column = 0; column < 7; column++) contrast.get(row).add(found.contrast[7 * row + column]);
        }
        Map<String, Object> intensity = new LinkedHashMap<>();
        intensity.put("offset", seen.intensity.offset);
        intensity.put("scale", seen.intensity.scale);
        intensity.put("dtype", seen.volume.type.text());
        intensity.put("contrast", contrast);
        fields.put("intensity", intensity);
        return fields;
    }

    /** What the card says about the image. */
    private Map<String, Object> source() {
        Map<String, Object> source = new LinkedHashMap<>();
        List<Integer> shape = new ArrayList<>();
        if (image.depth > 1) shape.add(image.depth);
        shape.add(image.height);
        shape.add(image.width);
        source.put("sha256", Weights.hex(digest));
        source.put("shape", shape);
        source.put("dtype", seen.volume.type.text());
        source.put("offset", seen.intensity.offset);
        source.put("scale", seen.intensity.scale);
        source.put("labels", survey.counts);
        return source;
    }

    /** Of the last step. */
    public double loss() {
        return loss;
    }

    /** In words, "trained 20 steps; IoU on held-out strokes: mitochondria 0.812". */
    public String summary() {
        StringBuilder text = new StringBuilder("trained " + step + " steps");
        List<Map<String, Object>> classes = model.classEntries();
        String before = "; IoU on held-out strokes: ";
        for (int c = 0; iou != null && c < iou.length; c++) {
            if (Double.isNaN(iou[c])) continue;
            text.append(before).append(classes.get(c).get("name")).append(String.format(" %.3f", iou[c]));
            before = ", ";
        }
        return text + (iou == null ? "; too few strokes to hold any out: there is no IoU" : "");
    }

    @Override
    public void close() {
        trainer.close();
        model.close();
        options.close();
    }
}
