package cem.job;

import cem.bridge.Block;
import cem.core.Cem;
import cem.core.CemException;
import cem.core.Model;
import cem.core.PixelType;
import cem.core.Planes;
import cem.image.Labels;
import cem.image.Measured;
import cem.image.Seen;
import cem.image.Volume;
import ij.IJ;
import java.util.Arrays;
import java.util.List;

/** Segmenting a volume, to the bits of {@code napari-cem segment}; in plane XY with memory for a few slices only. */
public final class Segmentation {
    private static final long BLOCK_BYTES = 256L << 20;

    private final Model model;
    private final Seen seen;
    private final int threads;
    private final int classes;
    /** Label values of 8 bits, or of 16. */
    public final PixelType labelType;
    private final Progress progress;
    private Pages labels;
    private List<Pages> maps;
    private long done;
    private long total;

    /** Measures a volume, and logs in what it is not like the model's training images. */
    public Segmentation(Model model, Volume volume, int threads, Progress progress) {
        this.model = model;
        this.threads = threads;
        this.progress = progress;
        classes = model.classes();
        labelType = Labels.type(Arrays.stream(model.values()).max().getAsInt());
        Measured found = Measured.of(volume, progress::check);
        for (String line : found.mismatches(volume, model.card())) IJ.log("CEM: " + line);
        seen = Seen.byCard(volume, found, model.card());
    }

    /** Planes by the name of their choice. */
    public static List<Planes> planes(String name) {
        switch (name) {
            case "xy": return Arrays.asList(Planes.XY);
            case "xz": return Arrays.asList(Planes.XZ);
            case "yz": return Arrays.asList(Planes.YZ);
            case "ortho": return Arrays.asList(Planes.XY, Planes.XZ, Planes.YZ);
            default: throw new CemException("planes is " + name + "; it must be one of xy, xz, yz, ortho");
        }
    }

    /**
     * Computes and writes some slices.
     *
     * @param slices their numbers, from 0
     * @param labels where labels go, or null
     * @param maps where probabilities go, of the foreground or of each class; or null
     */
    public void run(List<Planes> planes, int[] slices, Pages labels, List<Pages> maps) {
        this.labels = labels;
        this.maps = maps;
        progress.onCancel(model::cancel);
        try {
            if (planes.size() == 1 && planes.get(0) == Planes.XY) xy(slices);
            else turned(planes, slices);
        } finally {
            progress.onCancel(() -> {});
        }
    }

    private int blockSize(long pixels) {
        int workers = threads > 0 ? threads : Cem.cores();
        return (int) Math.max(1, Math.min(2L * workers, BLOCK_BYTES / (pixels * (8 + 4L * classes))));
    }

    private void predict(Block out, Block pixels, long count, long height, long width) {
        model.predict(out, pixels, seen.volume.type, count, height, width, seen.intensity, threads);
        done += count;
        progress.show((double) done / total, done + " of " + total + " slices");
    }

    private void xy(int[] slices) {
        Volume volume = seen.volume;
        long area = volume.pixels();
        int most = Math.min(blockSize(area), slices.length);
        total = slices.length;
        try (Block pixels = volume.room(most); Block out = Cem.allocate(most * classes * area * Float.BYTES)) {
            for (int first = 0; first < slices.length; first += most) {
                int count = Math.min(most, slices.length - first);
                for (int k = 0; k < count; k++) {
                    progress.check();
                    volume.read(slices[first + k], pixels, k * volume.bytes());
                }
                predict(out, pixels, count, volume.height, volume.width);
                for (int k = 0; k < count; k++) {
                    long page = k * classes * area * Float.BYTES;
                    if (labels != null) classify(out.address() + page, area);
                    if (maps != null) mean(out.address() + page + area * Float.BYTES, area, 1, false);
                }
            }
        }
    }

    /** Appends labels from the (classes, pixels) probabilities at an address. */
    private void classify(long probabilities, long area) {
        try (Block values = Cem.allocate(2 * area)) {
            model.classify(values, probabilities, 1, area);
            write(values, 0, area);
        }
    }

    /** Appends the 16-bit labels at byte {@code at}. */
    private void write(Block values, long at, long area) {
        if (labelType == PixelType.UINT16) {
            labels.add(values, at);
            return;
        }
        try (Block bytes = Cem.allocate(area)) {
            byte[] narrow = new byte[Math.toIntExact(area)];
            short[] wide = new short[narrow.length];
            values.view(at, 2 * narrow.length).asShortBuffer().get(wide);
            for (int i = 0; i < narrow.length; i++) narrow[i] = (byte) wide[i];
            bytes.view(0, narrow.length).put(narrow);
            labels.add(bytes, 0);
        }
    }

    /** Appends the mean of so many planes, and the labels from it. */
    private void mean(long sums, long area, int planes, boolean classified) {
        try (Block out = Cem.allocate(classes * area * Float.BYTES)) {
            Planes.mean(out, sums, classes, area, planes);
            int first = classes == 2 ? 1 : 0;
            for (int c = first; maps != null && c < classes; c++) maps.get(c - first).add(out, c * area * Float.BYTES);
            if (classified) classify(out.address(), area);
        }
    }

    private void turned(List<Planes> planes, int[] slices) {
        Volume volume = seen.volume;
        if (volume.depth == 1) throw new CemException(volume.name + " is one image: only the plane xy can be segmented");
        long area = volume.pixels(), voxels = volume.depth * area;
        long[] shape = {volume.depth, volume.height, volume.width};
        boolean averaged = planes.size() > 1, summed = averaged || maps != null;
        boolean direct = labels != null && !averaged;
        for (Planes plane : planes) total += plane.shape(shape[0], shape[1], shape[2])[0];
        try (Block whole = volume.room(volume.depth);
                Block sums = Cem.allocate(summed ? (classes - 1) * voxels * Float.BYTES : 1);
                Block values = Cem.allocate(direct ? 2 * voxels : 1)) {
            for (int z = 0; z < volume.depth; z++) {
                progress.check();
                volume.read(z, whole, z * volume.bytes());
            }
            if (summed) clear(sums, (classes - 1) * voxels * Float.BYTES);
            for (Planes plane : planes) plane(plane, shape, whole, summed ? sums : null, direct ? values : null);
            Block upright = direct ? upright(planes.get(0), values, shape) : null;
            for (int z : slices) {
                if (summed) mean(sums.address() + z * (classes - 1) * area * Float.BYTES, area, planes.size(),
                    labels != null && averaged);
                if (direct) write(upright, 2 * z * area, area);
            }
            if (direct) upright.close();
        }
    }

    private static void clear(Block block, long bytes) {
        byte[] zeros = new byte[1 << 20];
        for (long at = 0; at < bytes; at += zeros.length) {
            int count = (int) Math.min(zeros.length, bytes - at);
            block.view(at, count).put(zeros, 0, count);
        }
    }

    /** Adds what is found on the slices of a plane to the sums, or keeps their labels, as they lie. */
    private void plane(Planes plane, long[] shape, Block whole, Block sums, Block values) {
        long[] turned = plane.shape(shape[0], shape[1], shape[2]);
        long area = turned[1] * turned[2];
        long most = Math.min(blockSize(area), turned[0]);
        try (Block pixels = Cem.allocate(most * area * seen.volume.type.bytes);
                Block out = Cem.allocate(most * classes * area * Float.BYTES);
                Block part = Cem.allocate(2 * most * area)) {
            for (long first = 0; first < turned[0]; first += most) {
                long count = Math.min(most, turned[0] - first);
                plane.gather(pixels, whole, seen.volume.type, shape, first, count);
                predict(out, pixels, count, turned[1], turned[2]);
                if (sums != null) plane.add(sums, out, classes, shape, first, count);
                if (values == null) continue;
                model.classify(part, out.address(), count, area);
                for (long k = 0; k < count; k++)
                    values.view(2 * (first + k) * area, (int) (2 * area)).put(part.view(2 * k * area, (int) (2 * area)));
            }
        }
    }

    /** Labels of slices of a plane as (depth, height, width); gathering XZ once, or YZ twice, turns them back. */
    private static Block upright(Planes plane, Block values, long[] shape) {
        Block out = Cem.allocate(2 * shape[0] * shape[1] * shape[2]);
        if (plane == Planes.XZ) {
            plane.gather(out, values, PixelType.UINT16, new long[] {shape[1], shape[0], shape[2]}, 0, shape[0]);
            return out;
        }
        try (Block half = Cem.allocate(2 * shape[0] * shape[1] * shape[2])) {
            plane.gather(half, values, PixelType.UINT16, new long[] {shape[2], shape[0], shape[1]}, 0, shape[1]);
            plane.gather(out, half, PixelType.UINT16, new long[] {shape[1], shape[2], shape[0]}, 0, shape[0]);
        }
        return out;
    }
}
