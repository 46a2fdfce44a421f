package cem.job;

import cem.core.Json;
import cem.core.Model;
import ij.ImagePlus;
import ij.ImageStack;
import ij.measure.Calibration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Results as images of ImageJ, which have the sizes and slice labels of their source and tell the model's card. */
public final class Shown {
    private Shown() {}

    /** The images of finished results that are stacks. */
    public static List<ImagePlus> images(Results results, Model model, ImagePlus source, int[] slices) {
        List<ImagePlus> images = new ArrayList<>();
        String title = source.getShortTitle();
        if (results.labels != null) {
            ImagePlus image = image(title + "-labels", results.labels, model, source, slices);
            image.setLut(LabelColors.of(model.classEntries()));
            images.add(image);
        }
        for (int i = 0; results.maps != null && i < results.maps.size(); i++) {
            String name = results.maps.size() == 1 ? "" : "-" + results.names.get(i);
            ImagePlus image = image(title + "-probabilities" + name, results.maps.get(i), model, source, slices);
            image.setDisplayRange(0, 1);
            images.add(image);
        }
        return images;
    }

    private static ImagePlus image(String title, Pages pages, Model model, ImagePlus source, int[] slices) {
        ImageStack stack = ((StackPages) pages).stack;
        for (int k = 0; k < slices.length; k++)
            stack.setSliceLabel(source.getStack().getSliceLabel(slices[k] + 1), k + 1);
        ImagePlus image = new ImagePlus(title, stack);
        if (slices.length == source.getStackSize())
            image.setDimensions(1, source.getNSlices(), source.getNFrames());
        Calibration calibration = source.getCalibration().copy();
        calibration.disableDensityCalibration();
        image.setCalibration(calibration);
        image.setProperty("Info", text(model.card()));
        return image;
    }

    /** A card, one field a line. */
    public static String text(Map<String, Object> card) {
        StringBuilder text = new StringBuilder();
        card.forEach((key, value) -> text.append(key).append(": ")
            .append(value instanceof String ? (String) value : Json.write(value)).append('\n'));
        return text.toString();
    }
}
