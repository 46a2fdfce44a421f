package cem.command;

import cem.bridge.BridgeException;
import cem.core.Cem;
import cem.core.CemException;
import cem.core.Model;
import cem.image.LabelSource;
import cem.image.Labels;
import cem.image.StackVolume;
import cem.job.Plan;
import cem.job.Progress;
import cem.job.Results;
import cem.job.Segmentation;
import cem.job.Shown;
import cem.job.Training;
import ij.IJ;
import ij.ImagePlus;
import ij.WindowManager;
import ij.macro.ExtensionDescriptor;
import ij.macro.Functions;
import ij.macro.MacroExtension;
import ij.plugin.PlugIn;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** Functions {@code Ext.CEM_...} for macros that keep models in memory. */
public final class MacroExtensions implements PlugIn, MacroExtension {
    private static final Map<String, Model> MODELS = Collections.synchronizedMap(new LinkedHashMap<>());
    private static int made;

    @Override
    public void run(String argument) {
        if (IJ.isMacro()) Functions.registerExtensions(this);
        else IJ.error("CEM", "CEM Macro Extensions are for macros; see docs/fiji.md");
    }

    @Override
    public ExtensionDescriptor[] getExtensionFunctions() {
        return new ExtensionDescriptor[] {
            function("CEM_version"),
            function("CEM_train", ARG_STRING, ARG_STRING, ARG_NUMBER, ARG_NUMBER, ARG_NUMBER | ARG_OUTPUT,
                ARG_STRING | ARG_OUTPUT, ARG_STRING | ARG_OPTIONAL),
            function("CEM_segment", ARG_STRING, ARG_STRING, ARG_STRING | ARG_OPTIONAL),
            function("CEM_saveModel", ARG_STRING, ARG_STRING),
            function("CEM_loadModel", ARG_STRING, ARG_STRING | ARG_OUTPUT),
            function("CEM_iou", ARG_STRING, ARG_STRING, ARG_NUMBER, ARG_NUMBER | ARG_OUTPUT),
            function("CEM_close", ARG_STRING),
        };
    }

    private ExtensionDescriptor function(String name, int... types) {
        return new ExtensionDescriptor(name, types, this);
    }

    @Override
    public String handleExtension(String name, Object[] arguments) {
        try {
            return call(name, arguments);
        } catch (CemException | BridgeException error) {
            IJ.log("CEM ERROR: " + error.getMessage());
            throw error;
        }
    }

    private static String call(String name, Object[] a) {
        switch (name) {
            case "CEM_version": return Cem.version();
            case "CEM_train": return train(a);
            case "CEM_segment": return segment(model(a[0]), image(a[1]), a[2] == null ? "labels" : (String) a[2]);
            case "CEM_saveModel": model(a[0]).save(Paths.get((String) a[1]), true); return null;
            case "CEM_loadModel": ((String[]) a[1])[0] = keep(Model.load(Paths.get((String) a[0]))); return null;
            case "CEM_iou": ((Double[]) a[3])[0] = iou(image(a[0]), image(a[1]), ((Double) a[2]).intValue()); return null;
            default: model(a[0]).close(); MODELS.remove((String) a[0]); return null;
        }
    }

    private static String keep(Model model) {
        synchronized (MODELS) {
            String handle = "model" + ++made;
            MODELS.put(handle, model);
            return handle;
        }
    }

    private static Model model(Object handle) {
        Model model = MODELS.get((String) handle);
        if (model == null) throw new CemException("there is no model '" + handle + "'; CEM_train and CEM_loadModel give one");
        return model;
    }

    private static ImagePlus image(Object title) {
        ImagePlus image = WindowManager.getImage((String) title);
        if (image == null) throw new CemException("no open image is called '" + title + "'");
        return image;
    }

    private static String train(Object[] a) {
        Plan plan = new Plan();
        plan.steps = whole("steps", a[2]);
        plan.seed = whole("seed", a[3]);
        if (plan.steps == 0) throw new CemException("steps is 0, must be at least 1");
        if (a[6] != null) plan.weights = (String) a[6];
        ImagePlus image = image(a[0]);
        try (Progress progress = new Progress("training");
                Training training = new Training(new StackVolume(image),
                    LabelSource.open((String) a[1], image, plan.values()), plan, progress)) {
            training.run(null);
            ((Double[]) a[4])[0] = training.loss();
            ((String[]) a[5])[0] = keep(training.model.copy());
        }
        return null;
    }

    private static long whole(String name, Object value) {
        double number = (Double) value;
        if (number < 0 || number != (long) number)
            throw new CemException(name + " is " + number + ", must be a whole number from 0 up");
        return (long) number;
    }

    /** The title of the first image that is made. */
    private static String segment(Model model, ImagePlus image, String which) {
        StackVolume volume = new StackVolume(image);
        if (!Arrays.asList(Results.CHOICES).contains(which))
            throw new CemException("the result is " + which + "; it must be one of " + String.join(", ", Results.CHOICES));
        int[] slices = IntStream.range(0, volume.depth).toArray();
        try (Progress progress = new Progress("segmenting")) {
            Segmentation job = new Segmentation(model, volume, 0, progress);
            Results results = Results.stacks(model, volume, which, job.labelType);
            job.run(Segmentation.planes("xy"), slices, results.labels, results.maps);
            List<ImagePlus> images = Shown.images(results, model, image, slices);
            images.forEach(ImagePlus::show);
            return images.get(0).getTitle();
        }
    }

    /** Intersection over union of the pixels with a label in two label images; NaN if there are none. */
    private static double iou(ImagePlus first, ImagePlus second, int label) {
        Labels a = new Labels(new StackVolume(first)), b = new Labels(new StackVolume(second));
        if (!Arrays.equals(a.volume.shape(), b.volume.shape()))
            throw new CemException(first.getTitle() + " is " + a.volume.describe() + " but " + second.getTitle() + " is "
                + b.volume.describe() + "; give labels of one shape");
        long both = 0, either = 0;
        for (int z = 0; z < a.volume.depth; z++) {
            int[] x = a.read(z), y = b.read(z);
            for (int i = 0; i < x.length; i++) {
                if (x[i] == label && y[i] == label) both++;
                if (x[i] == label || y[i] == label) either++;
            }
        }
        return both / (double) either;
    }
}
