package cem.command;

import cem.core.CemException;
import cem.core.Model;
import cem.image.StackVolume;
import cem.image.TiffVolume;
import cem.image.Volume;
import cem.job.Progress;
import cem.job.Results;
import cem.job.Segmentation;
import ij.IJ;
import ij.ImagePlus;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.regex.PatternSyntaxException;
import java.util.stream.IntStream;

/** Segments every image of a folder into another one, each result a TIFF file with the image's name. */
public final class BatchFolder extends Command {
    @Override
    Form form() {
        return new Form("CEM Batch Folder")
            .folder("input")
            .text("pattern", "names of files", "*.tif")
            .file("model", ".safetensors")
            .folder("output")
            .choice("result", Results.CHOICES)
            .choice("planes", "xy", "xz", "yz", "ortho")
            .number("threads", "0: all cores", "0")
            .flag("overwrite", false);
    }

    @Override
    void execute(Values values) {
        Path input = values.path("input", "the folder of images"), output = values.path("output", "the folder for results");
        List<Path> files = files(input, values.text("pattern"));
        try (Model model = Model.load(values.path("model", "the .safetensors file of a model"))) {
            check(files, output, model, values);
            for (int i = 0; i < files.size(); i++) {
                String verb = "segmenting " + files.get(i).getFileName() + " (" + (i + 1) + " of " + files.size() + ")";
                try (Progress progress = new Progress(verb); Volume volume = open(files.get(i))) {
                    segment(volume, target(files.get(i), output), model, values, progress);
                }
            }
        }
        IJ.log("CEM: segmented " + files.size() + " images of " + input + " into " + output);
    }

    private static List<Path> files(Path folder, String pattern) {
        List<Path> found = new ArrayList<>();
        if (!Files.isDirectory(folder)) throw new CemException(folder + " is no folder");
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder, pattern)) {
            for (Path entry : entries)
                if (Files.isRegularFile(entry) && !entry.getFileName().toString().startsWith(".")) found.add(entry);
        } catch (IOException | PatternSyntaxException error) {
            throw new CemException(folder + " cannot be listed by the pattern " + pattern + ": " + error.getMessage());
        }
        if (found.isEmpty()) throw new CemException(folder + " holds no file named " + pattern);
        Collections.sort(found);
        return found;
    }

    /** Refuses what would fail in the midst of the work. */
    private static void check(List<Path> files, Path output, Model model, Values values) {
        if (!Files.isDirectory(output)) throw new CemException("the folder " + output + " does not exist; make it first");
        List<Path> targets = new ArrayList<>();
        for (Path file : files)
            for (Path target : Results.files(model, values.text("result"), target(file, output))) {
                if (targets.contains(target)) throw new CemException(target + " would be the result of two images; rename one");
                if (target.toAbsolutePath().normalize().equals(file.toAbsolutePath().normalize()))
                    throw new CemException(target + " is an image and would be its result; give another folder");
                if (Files.exists(target) && !values.flag("overwrite"))
                    throw new CemException(target + " exists; choose another folder, or add overwrite");
                targets.add(target);
            }
    }

    private static Path target(Path file, Path output) {
        return output.resolve(file.getFileName().toString().replaceFirst("\\.[^.]*$", "") + ".tif");
    }

    private static Volume open(Path file) {
        if (file.toString().toLowerCase(Locale.ROOT).matches(".*\\.tiff?")) return new TiffVolume(file);
        ImagePlus image = IJ.openImage(file.toString());
        if (image == null) throw new CemException(file + " is no image that ImageJ opens");
        return new StackVolume(image);
    }

    private static void segment(Volume volume, Path target, Model model, Values values, Progress progress) {
        Segmentation job = new Segmentation(model, volume, values.threads(), progress);
        int[] slices = IntStream.range(0, volume.depth).toArray();
        try (Results results = Results.files(model, volume, values.text("result"), job.labelType, target, volume.depth,
                values.flag("overwrite"))) {
            job.run(Segmentation.planes(values.text("planes")), slices, results.labels, results.maps);
            results.finish();
        }
    }
}
