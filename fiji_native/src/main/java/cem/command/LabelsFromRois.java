package cem.command;

import cem.core.CemException;
import cem.image.LabelSource;
import cem.image.RoiVolume;
import cem.job.LabelColors;
import cem.job.Plan;
import ij.ImagePlus;
import ij.ImageStack;
import ij.gui.Roi;
import ij.measure.Calibration;
import ij.process.ImageProcessor;
import java.util.List;

/** Draws ROIs into a new label image. */
public final class LabelsFromRois extends Command {
    @Override
    Form form() {
        return new Form("CEM Labels from ROIs")
            .image("image")
            .rois("source")
            .text("classes", "background,NAME,...; ROIs may be named after them", "");
    }

    @Override
    void execute(Values values) {
        ImagePlus image = values.image("image");
        Plan plan = new Plan();
        plan.parseClasses(values.text("classes"));
        List<Roi> rois = LabelSource.rois(values.text("source"), image);
        if (rois == null)
            throw new CemException("source is '" + values.text("source") + "'; it must be overlay, roi_manager, or a file .zip or .roi");
        RoiVolume labels = RoiVolume.of(values.text("source"), rois, image, plan.values());
        ImageStack stack = new ImageStack(image.getWidth(), image.getHeight());
        double most = 0;
        for (int z = 0; z < labels.depth; z++) {
            ImageProcessor page = labels.draw(z);
            most = Math.max(most, page.getStats().max);
            stack.addSlice(image.getStack().getSliceLabel(z + 1), page);
        }
        ImagePlus made = new ImagePlus(image.getShortTitle() + "-labels", stack);
        Calibration calibration = image.getCalibration().copy();
        calibration.disableDensityCalibration();
        made.setCalibration(calibration);
        made.setLut(LabelColors.of((int) most));
        made.show();
    }
}
