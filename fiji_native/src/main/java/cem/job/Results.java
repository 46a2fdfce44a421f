package cem.job;

import cem.core.CemException;
import cem.core.Model;
import cem.core.PixelType;
import cem.image.Volume;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Results of one segmentation: labels, probabilities of the foreground or of each class, or both; into files or stacks. */
public final class Results implements AutoCloseable {
    public static final String[] CHOICES = {"labels", "probabilities", "both"};

    /** Labels, or null. */
    public final Pages labels;
    /** Probabilities, or null. */
    public final List<Pages> maps;
    /** Names of the classes of {@link #maps}. */
    public final List<String> names = new ArrayList<>();

    private Results(Pages labels, List<Pages> maps, List<String> names) {
        this.labels = labels;
        this.maps = maps;
        this.names.addAll(names);
    }

    /** Results that become stacks of ImageJ. */
    public static Results stacks(Model model, Volume volume, String which, PixelType labelType) {
        List<String> names = mapped(model);
        List<Pages> maps = new ArrayList<>();
        for (int i = 0; i < names.size(); i++) maps.add(new StackPages(volume.height, volume.width, PixelType.FLOAT32));
        return new Results(wantsLabels(which) ? new StackPages(volume.height, volume.width, labelType) : null,
            wantsMaps(which) ? maps : null, names);
    }

    /** Results that go to the files {@link #files} names. */
    public static Results files(Model model, Volume volume, String which, PixelType labelType, Path path, int depth,
            boolean overwrite) {
        List<Path> files = files(model, which, path);
        long[] shape = {depth, volume.height, volume.width};
        double[] sizes = {volume.pixelNm, volume.spacingNm};
        List<Pages> made = new ArrayList<>();
        try {
            for (Path file : files) {
                boolean isLabels = made.isEmpty() && wantsLabels(which);
                int most = isLabels ? Arrays.stream(model.values()).max().getAsInt() : 0;
                made.add(new TiffPages(file, shape, sizes, isLabels ? labelType : PixelType.FLOAT32, most, overwrite));
            }
        } catch (RuntimeException error) {
            made.forEach(Pages::close);
            throw error;
        }
        Pages labels = wantsLabels(which) ? made.remove(0) : null;
        return new Results(labels, wantsMaps(which) ? made : null, mapped(model));
    }

    /** The files of such results: labels in {@code path}, probabilities there too or with the class's name added. */
    public static List<Path> files(Model model, String which, Path path) {
        String name = path.getFileName().toString();
        if (!name.toLowerCase(Locale.ROOT).matches(".*\\.tiff?"))
            throw new CemException(path + " must end in .tif");
        List<Path> files = new ArrayList<>();
        if (wantsLabels(which)) files.add(path);
        if (!wantsMaps(which)) return files;
        List<String> names = safe(mapped(model));
        if (names.size() == 1 && !wantsLabels(which)) files.add(path);
        else for (String one : names)
            files.add(path.resolveSibling(name.replaceFirst("(\\.[^.]*)$", "_" + one + "$1")));
        return files;
    }

    private static boolean wantsLabels(String which) {
        return !which.equals("probabilities");
    }

    private static boolean wantsMaps(String which) {
        return !which.equals("labels");
    }

    /** The classes whose probabilities are told: all, of two the second alone. */
    private static List<String> mapped(Model model) {
        List<String> names = new ArrayList<>();
        for (Map<String, Object> entry : model.classEntries()) names.add((String) entry.get("name"));
        return names.size() == 2 ? names.subList(1, 2) : names;
    }

    private static List<String> safe(List<String> names) {
        List<String> safe = new ArrayList<>();
        for (String name : names) {
            StringBuilder text = new StringBuilder();
            name.codePoints().forEach(c ->
                text.appendCodePoint(Character.isLetterOrDigit(c) || c == '-' || c == '_' ? c : '_'));
            safe.add(text.toString());
        }
        if (new HashSet<>(safe).size() < safe.size())
            for (int k = 0; k < safe.size(); k++) safe.set(k, k + "_" + safe.get(k));
        return safe;
    }

    /** Puts everything into place. */
    public void finish() {
        if (labels != null) labels.finish();
        if (maps != null) maps.forEach(Pages::finish);
    }

    @Override
    public void close() {
        if (labels != null) labels.close();
        if (maps != null) maps.forEach(Pages::close);
    }
}
