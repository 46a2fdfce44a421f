package cem.command;

import cem.core.CemException;
import cem.image.LabelSource;
import cem.image.StackVolume;
import cem.job.Plan;
import cem.job.Progress;
import cem.job.Training;
import ij.IJ;
import ij.ImagePlus;
import java.nio.file.Files;
import java.nio.file.Path;

/** Trains a model on labels of an image, and saves it. */
public final class Train extends Command {
    @Override
    Form form() {
        return new Form("CEM Train")
            .image("image")
            .labels("labels")
            .file("output", "new .safetensors file")
            .text("weights", "cem500k, cem1.5m, starter, scratch, or a file", "cem500k")
            .text("classes", "background,NAME,...", "")
            .choice("recipe", "interactive", "cem500k")
            .number("steps", "0: by time", "0")
            .number("seconds", "0: a minute, if there are no steps", "0")
            .choice("freeze", "all", "layer4", "layer3", "layer2", "layer1", "none")
            .choice("dense", "recipe", "yes", "no")
            .text("set", "further options, NAME=VALUE ...", "")
            .number("pixel_nm", "0: as the image says", "0")
            .number("seed", "", "0")
            .number("threads", "0: all cores", "0")
            .flag("preview", true)
            .flag("overwrite", false);
    }

    @Override
    void execute(Values values) {
        Path output = values.path("output", "the new .safetensors file");
        checkOutput(output, values.flag("overwrite"));
        Plan plan = plan(values);
        ImagePlus image = values.image("image");
        try (Progress progress = new Progress("training");
                Training training = new Training(new StackVolume(image),
                    LabelSource.open(values.text("labels"), image, plan.values()), plan, progress)) {
            training.run(values.flag("preview") ? image : null);
            training.model.save(output, values.flag("overwrite"));
            IJ.log("CEM: " + training.summary() + "; saved " + output);
        }
    }

    static void checkOutput(Path output, boolean overwrite) {
        if (!output.toString().endsWith(".safetensors"))
            throw new CemException(output + " must end in .safetensors, as models do");
        if (output.toAbsolutePath().getParent() == null || !Files.isDirectory(output.toAbsolutePath().getParent()))
            throw new CemException("the folder of " + output + " does not exist; make it first");
        if (Files.exists(output) && !overwrite)
            throw new CemException(output + " exists; choose another name, or add overwrite");
    }

    private static Plan plan(Values values) {
        Plan plan = new Plan();
        plan.weights = values.text("weights");
        plan.recipe = values.text("recipe");
        plan.parseClasses(values.text("classes"));
        plan.steps = values.integer("steps");
        plan.seconds = values.number("seconds");
        if (!values.text("dense").equals("recipe")) plan.dense = values.text("dense").equals("yes");
        plan.seed = values.integer("seed");
        plan.threads = values.threads();
        plan.pixelNm = values.number("pixel_nm");
        plan.options.put("freeze", values.text("freeze"));
        plan.parseOptions(values.text("set"));
        return plan;
    }
}
