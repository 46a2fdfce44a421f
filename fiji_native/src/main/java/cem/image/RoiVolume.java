package cem.image;

import cem.bridge.Block;
import cem.core.CemException;
import ij.ImagePlus;
import ij.gui.PointRoi;
import ij.gui.Roi;
import ij.process.ByteProcessor;
import ij.process.FloatPolygon;
import ij.process.ImageProcessor;
import ij.process.ShortProcessor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Labels drawn by ROIs: their group, or how their name begins, is the label, their position the slice. */
public final class RoiVolume extends Volume {
    private static final Pattern NUMBER = Pattern.compile("(\\d{1,5})(\\D.*)?", Pattern.DOTALL);
    /** What ImageJ calls ROIs that nobody named: slice, y and x. */
    private static final Pattern UNNAMED = Pattern.compile("\\d{4,}-\\d{4,}(-\\d{4,})?(-\\d+)?");

    private final List<Roi> rois;
    private final int[] labels;
    private final int[] slices;

    /**
     * @param source what to call the ROIs in messages
     * @param names label values by class names, with which names of ROIs may begin too
     */
    public static RoiVolume of(String source, List<Roi> given, ImagePlus image, Map<String, Integer> names) {
        if (given.isEmpty()) throw new CemException(source + " has no ROIs; draw some for each class");
        List<Roi> rois = new ArrayList<>();
        for (Roi roi : given) rois.addAll(pointwise(roi));
        int[] labels = new int[rois.size()], slices = new int[rois.size()];
        int most = 0;
        for (int i = 0; i < labels.length; i++) {
            labels[i] = label(rois.get(i), i, names);
            slices[i] = slice(rois.get(i), i, image);
            most = Math.max(most, labels[i]);
        }
        return new RoiVolume(source, rois, image, labels, slices, most);
    }

    private RoiVolume(String source, List<Roi> rois, ImagePlus image, int[] labels, int[] slices, int most) {
        super(source, new int[] {image.getStackSize(), image.getHeight(), image.getWidth()}, Labels.type(most), 0, 0);
        this.rois = rois;
        this.labels = labels;
        this.slices = slices;
    }

    /** Points that each have a slice of their own as so many ROIs. */
    private static List<Roi> pointwise(Roi roi) {
        if (!(roi instanceof PointRoi) || roi.getPosition() > 0 || roi.hasHyperStackPosition())
            return Collections.singletonList(roi);
        List<Roi> points = new ArrayList<>();
        FloatPolygon places = roi.getFloatPolygon();
        for (int i = 0; i < places.npoints; i++) {
            Roi point = new PointRoi(places.xpoints[i], places.ypoints[i]);
            point.setName(roi.getName());
            point.setGroup(roi.getGroup());
            point.setPosition(((PointRoi) roi).getPointPosition(i));
            points.add(point);
        }
        return points;
    }

    private static String called(Roi roi, int index) {
        return "ROI " + (index + 1) + (roi.getName() == null ? "" : " (" + roi.getName() + ")");
    }

    private static int label(Roi roi, int index, Map<String, Integer> names) {
        if (roi.getGroup() > 0) return roi.getGroup();
        String name = roi.getName() == null ? "" : roi.getName();
        for (Map.Entry<String, Integer> one : names.entrySet())
            if (name.startsWith(one.getKey())) return one.getValue();
        Matcher number = NUMBER.matcher(name);
        if (!UNNAMED.matcher(name).matches() && number.matches()) {
            int label = Integer.parseInt(number.group(1));
            if (label >= 1 && label <= 65535) return label;
        }
        throw new CemException(called(roi, index) + " has no class; give it a group (1 background, 2, 3, ... classes), "
            + "or a name that begins with that number");
    }

    private static int slice(Roi roi, int index, ImagePlus image) {
        if (image.getStackSize() == 1) return 0;
        int position = roi.hasHyperStackPosition() ? Math.max(roi.getZPosition(), roi.getTPosition()) : roi.getPosition();
        if (position >= 1 && position <= image.getStackSize()) return position - 1;
        throw new CemException(called(roi, index) + " has " + (position == 0 ? "no slice" : "slice " + position)
            + "; set its position to one from 1 to " + image.getStackSize());
    }

    @Override
    public void read(int z, Block to, long at) {
        Object pixels = draw(z).getPixels();
        if (pixels instanceof byte[]) to.view(at, (int) bytes()).put((byte[]) pixels);
        else to.view(at, (int) bytes()).asShortBuffer().put((short[]) pixels);
    }

    /** The labels of a slice; later ROIs lie over earlier ones. */
    public ImageProcessor draw(int z) {
        ImageProcessor page = type.bytes == 1 ? new ByteProcessor(width, height) : new ShortProcessor(width, height);
        for (int i = 0; i < labels.length; i++) {
            if (slices[i] != z) continue;
            page.setValue(labels[i]);
            page.setLineWidth(Math.max(1, Math.round(rois.get(i).getStrokeWidth())));
            page.fill(rois.get(i));
            page.resetRoi();
        }
        return page;
    }
}
