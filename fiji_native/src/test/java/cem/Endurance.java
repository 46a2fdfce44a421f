package cem;

import ij.IJ;
import ij.ImageJ;
import ij.ImagePlus;
import ij.WindowManager;
import java.awt.event.KeyEvent;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Random;

/** Many commands in one ImageJ: {@code cycles N}, {@code escape N} or {@code together}, in a folder of test images. */
public final class Endurance {
    private static Path folder;

    private Endurance() {}

    public static void main(String[] arguments) throws Exception {
        folder = Paths.get(arguments[0]);
        new ImageJ(ImageJ.NO_SHOW);
        for (String name : new String[] {"image.tif", "labels.tif"}) IJ.openImage(folder + "/" + name).show();
        int count = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 0;
        if (arguments[1].equals("cycles")) cycles(count);
        else if (arguments[1].equals("escape")) escape(count);
        else together();
        System.out.println("CEM-END");
        System.exit(0);
    }

    private static void train(String output, int steps, int seed) {
        IJ.run("CEM Train...", "image=image.tif labels=labels.tif weights=scratch overwrite steps=" + steps + " seed=" + seed
            + " output=" + folder + "/" + output);
    }

    private static void segment(String model, String result) {
        IJ.run("CEM Segment...", "image=image.tif overwrite model=" + folder + "/" + model + " save=" + folder + "/" + result);
    }

    /** Prints resident MiB after each train, segment, show and close. */
    private static void cycles(int count) throws Exception {
        for (int i = 0; i < count; i++) {
            train("cycle.safetensors", 1, i);
            IJ.run("CEM Segment...", "image=image.tif result=both model=" + folder + "/cycle.safetensors");
            for (int id : WindowManager.getIDList()) {
                ImagePlus image = WindowManager.getImage(id);
                if (image.getTitle().startsWith("image-")) {
                    image.changes = false;
                    image.close();
                }
            }
            System.gc();
            System.out.println("resident " + resident());
        }
    }

    private static long resident() throws Exception {
        for (String line : Files.readAllLines(Paths.get("/proc/self/status")))
            if (line.startsWith("VmRSS:")) return Long.parseLong(line.replaceAll("\\D", "")) / 1024;
        throw new IllegalStateException("no VmRSS");
    }

    /** Presses Esc at random moments and prints the milliseconds until the command ends. */
    private static void escape(int count) throws Exception {
        Random random = new Random(1);
        train("model.safetensors", 1, 0);
        for (int i = 0; i < count; i++) {
            boolean training = i % 2 == 0;
            Files.deleteIfExists(folder.resolve("escaped.safetensors"));
            Files.deleteIfExists(folder.resolve("escaped.tif"));
            Thread work = new Thread(() -> {
                if (training) train("escaped.safetensors", 100_000, 0);
                else IJ.run("CEM Segment...", "image=image.tif planes=ortho model=" + folder + "/model.safetensors save=" + folder
                    + "/escaped.tif");
            });
            work.start();
            Thread.sleep(200 + random.nextInt(training ? 4000 : 1500));
            boolean ended = !work.isAlive();
            long start = System.nanoTime();
            IJ.setKeyDown(KeyEvent.VK_ESCAPE);
            work.join();
            System.out.println((ended ? "ended " : "escaped ") + (System.nanoTime() - start) / 1_000_000);
            if (!ended && Files.exists(folder.resolve(training ? "escaped.safetensors" : "escaped.tif")))
                System.out.println("there is a result all the same");
        }
    }

    /** Two models at once, and the same two one after the other. */
    private static void together() throws Exception {
        Thread[] work = new Thread[2];
        for (int i = 0; i < 2; i++) {
            int seed = i;
            work[i] = new Thread(() -> {
                train("together" + seed + ".safetensors", 5, seed);
                segment("together" + seed + ".safetensors", "together" + seed + ".tif");
            });
            work[i].start();
        }
        for (Thread one : work) one.join();
        for (int i = 0; i < 2; i++) {
            train("alone" + i + ".safetensors", 5, i);
            segment("alone" + i + ".safetensors", "alone" + i + ".tif");
        }
    }
}
