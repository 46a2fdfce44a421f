package cem.core;

import cem.bridge.Block;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** A model in native memory: weights, and the card that goes with them. */
public final class Model implements AutoCloseable {
    private long handle;

    private Model(long handle) {
        this.handle = handle;
    }

    /** The model in a file. */
    public static Model load(Path path) {
        if (!Files.exists(path)) throw new CemException(path + " does not exist");
        Safetensors.card(path); // tells a checkpoint of PyTorch
        return new Model(Cem.made(out -> Cem.with(path, text -> Cem.api().cem_model_load(out, text))));
    }

    /** A model with random weights and the standard widths. */
    public static Model random(int classes, long seed) {
        try (Struct options = new Struct(Struct.MODEL)) {
            Cem.check(Cem.api().cem_model_defaults(options.address(), options.size()));
            options.set("classes", classes).set("seed", seed);
            return new Model(Cem.made(out -> Cem.api().cem_model_new(out, options.address())));
        }
    }

    long handle() {
        if (handle == 0) throw new CemException("the model is closed");
        return handle;
    }

    /** Takes the encoder of a file of weights or of a model, and a model's decoder if it fits. */
    public void loadBody(Path path) {
        Cem.check(Cem.with(path, text -> Cem.api().cem_model_load_body(handle(), text)));
    }

    /** Writes the model by atomic rename. */
    public void save(Path path, boolean overwrite) {
        Cem.check(Cem.with(path, text -> Cem.api().cem_model_save(handle(), text, overwrite ? 1 : 0)));
    }

    public Model copy() {
        return new Model(Cem.made(out -> Cem.api().cem_model_copy(out, handle())));
    }

    /** What is known about the model. */
    public Map<String, Object> card() {
        return Json.object(Json.parse(Cem.text(Cem.api().cem_model_card(handle()))));
    }

    /** Sets fields of the card; null removes one. */
    public void updateCard(Map<String, Object> fields) {
        Cem.check(Cem.with(Json.write(fields), json -> Cem.api().cem_model_set_card(handle(), json)));
    }

    /** Classes as the card has them, background first: name, value, color. */
    public List<Map<String, Object>> classEntries() {
        return entries(card());
    }

    /** The classes of a card; none if it names none. */
    public static List<Map<String, Object>> entries(Map<String, Object> card) {
        List<Map<String, Object>> found = new ArrayList<>();
        if (card.get("classes") instanceof List)
            for (Object entry : (List<?>) card.get("classes")) found.add(Json.object(entry));
        return found;
    }

    /** Label value of a class. */
    public static int value(Map<String, Object> entry) {
        return ((Number) entry.get("value")).intValue();
    }

    /** Label values of the classes. */
    public int[] values() {
        return classEntries().stream().mapToInt(Model::value).toArray();
    }

    public int classes() {
        return Cem.api().cem_model_classes(handle());
    }

    /**
     * Probabilities of the classes.
     *
     * @param out (depth, classes, height, width) float
     * @param pixels (depth, height, width) of {@code type}
     */
    public void predict(Block out, Block pixels, PixelType type, long depth, long height, long width,
            Intensity intensity, int threads) {
        try (Struct options = new Struct(Struct.PREDICT); Struct constants = intensity.struct()) {
            Cem.check(Cem.api().cem_predict_defaults(options.address(), options.size()));
            options.set("threads", threads);
            Cem.check(Cem.api().cem_predict(out.address(), handle(), pixels.address(), type.number, depth, height, width,
                constants.address(), options.address()));
        }
    }

    /**
     * Label values from probabilities.
     *
     * @param labels (depth, pixels) unsigned short
     * @param probabilities address of (depth, classes, pixels) float
     */
    public void classify(Block labels, long probabilities, long depth, long pixels) {
        Cem.check(Cem.api().cem_classify(labels.address(), handle(), probabilities, depth, pixels));
    }

    /** Stops the call in progress, from any thread. */
    public void cancel() {
        Cem.api().cem_cancel(handle());
    }

    @Override
    public void close() {
        if (handle != 0) Cem.api().cem_model_free(handle);
        handle = 0;
    }
}
