package cem.command;

import cem.core.Model;
import cem.image.StackVolume;
import cem.job.Progress;
import cem.job.Results;
import cem.job.Segmentation;
import cem.job.Shown;
import ij.IJ;
import ij.ImagePlus;
import java.nio.file.Path;
import java.nio.file.Paths;

/** Segments an image or a stack with a model; shows the result, or saves it. */
public final class Segment extends Command {
    @Override
    Form form() {
        return new Form("CEM Segment")
            .image("image")
            .file("model", ".safetensors")
            .choice("result", Results.CHOICES)
            .choice("planes", "xy", "xz", "yz", "ortho")
            .text("slices", "1-3,7; empty: all", "")
            .file("save", ".tif; empty: show the result")
            .number("threads", "0: all cores", "0")
            .flag("overwrite", false);
    }

    @Override
    void execute(Values values) {
        Path path = values.path("model", "the .safetensors file of a model");
        StackVolume volume = new StackVolume(values.image("image"));
        int[] slices = values.slices("slices", volume.depth);
        try (Progress progress = new Progress("segmenting"); Model model = Model.load(path)) {
            progress.check();
            Segmentation job = new Segmentation(model, volume, values.threads(), progress);
            try (Results results = results(values, model, volume, job, slices.length)) {
                job.run(Segmentation.planes(values.text("planes")), slices, results.labels, results.maps);
                results.finish();
                if (values.text("save").isEmpty())
                    for (ImagePlus image : Shown.images(results, model, volume.image, slices)) image.show();
                else IJ.log("CEM: saved " + Results.files(model, values.text("result"), Paths.get(values.text("save"))));
            }
        }
    }

    private static Results results(Values values, Model model, StackVolume volume, Segmentation job, int depth) {
        String which = values.text("result"), save = values.text("save");
        if (save.isEmpty()) return Results.stacks(model, volume, which, job.labelType);
        return Results.files(model, volume, which, job.labelType, Paths.get(save), depth, values.flag("overwrite"));
    }
}
