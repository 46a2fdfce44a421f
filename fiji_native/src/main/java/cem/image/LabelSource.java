package cem.image;

import cem.core.CemException;
import ij.ImagePlus;
import ij.WindowManager;
import ij.gui.Overlay;
import ij.gui.Roi;
import ij.io.RoiDecoder;
import ij.plugin.frame.RoiManager;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/** Where labels come from: "overlay", "roi_manager", a file of ROIs or a TIFF file, or an open image by its title. */
public final class LabelSource {
    private LabelSource() {}

    /** Labels of an image; {@code names} are as for {@link RoiVolume}. */
    public static Labels open(String source, ImagePlus image, Map<String, Integer> names) {
        List<Roi> rois = rois(source, image);
        if (rois != null) return new Labels(RoiVolume.of(source, rois, image, names));
        ImagePlus labels = WindowManager.getImage(source);
        if (labels != null) return new Labels(new StackVolume(labels));
        String ending = source.toLowerCase(Locale.ROOT);
        if ((ending.endsWith(".tif") || ending.endsWith(".tiff")) && Files.isRegularFile(Paths.get(source)))
            return new Labels(new TiffVolume(Paths.get(source)));
        throw new CemException("the labels are '" + source + "', which is neither an open image nor a file; "
            + "give those, or overlay or roi_manager");
    }

    /** The ROIs of a source, or null if it is something else. */
    public static List<Roi> rois(String source, ImagePlus image) {
        if (source.equals("overlay")) {
            Overlay overlay = image.getOverlay();
            return overlay == null ? new ArrayList<>() : Arrays.asList(overlay.toArray());
        }
        if (source.equals("roi_manager")) return managed();
        String ending = source.toLowerCase(Locale.ROOT);
        if (!ending.endsWith(".roi") && !ending.endsWith(".zip")) return null;
        try {
            return read(Paths.get(source));
        } catch (IOException error) {
            throw new CemException(source + " cannot be read: " + error.getMessage());
        }
    }

    private static List<Roi> managed() {
        RoiManager manager = RoiManager.getInstance2();
        if (manager == null) throw new CemException("the ROI Manager is not open; add the ROIs to it");
        return Arrays.asList(manager.getRoisAsArray());
    }

    private static List<Roi> read(Path path) throws IOException {
        List<Roi> found = new ArrayList<>();
        if (!path.toString().toLowerCase(Locale.ROOT).endsWith(".zip")) {
            found.add(decode(Files.readAllBytes(path), path.getFileName().toString()));
            return found;
        }
        try (ZipInputStream zip = new ZipInputStream(Files.newInputStream(path))) {
            for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry())
                if (entry.getName().endsWith(".roi")) found.add(decode(rest(zip), entry.getName()));
        }
        return found;
    }

    private static Roi decode(byte[] bytes, String file) {
        String name = file.substring(file.lastIndexOf('/') + 1, file.length() - ".roi".length());
        Roi roi = RoiDecoder.openFromByteArray(bytes);
        if (roi == null) throw new CemException(file + " is no ROI of ImageJ");
        roi.setName(name);
        return roi;
    }

    private static byte[] rest(InputStream from) throws IOException {
        ByteArrayOutputStream to = new ByteArrayOutputStream();
        byte[] part = new byte[8192];
        for (int count = from.read(part); count >= 0; count = from.read(part)) to.write(part, 0, count);
        return to.toByteArray();
    }
}
