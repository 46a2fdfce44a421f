package cem.job;

import cem.core.CancelledException;
import ij.IJ;

/** Shows how far a job is and how long it will take; Esc stops what computes. */
public final class Progress implements AutoCloseable {
    private static final long EVERY_MS = 50;
    private static final long SHOWN_NS = 200_000_000L;

    private final String verb;
    private final long start = System.nanoTime();
    private final Thread watcher = new Thread(this::watch, "CEM Esc");
    private Runnable cancel = () -> {};
    private volatile boolean open = true;
    private long shown;

    /** @param verb what is done, "training" */
    public Progress(String verb) {
        this.verb = verb;
        IJ.resetEscape();
        watcher.setDaemon(true);
        watcher.start();
    }

    private void watch() {
        try {
            while (open && !IJ.escapePressed()) Thread.sleep(EVERY_MS);
        } catch (InterruptedException error) {
            return;
        }
        synchronized (this) {
            if (open) cancel.run();
        }
    }

    /** What Esc calls, on another thread. */
    public synchronized void onCancel(Runnable action) {
        cancel = action;
        if (IJ.escapePressed()) action.run();
    }

    /** Throws if Esc was pressed. */
    public void check() {
        if (IJ.escapePressed()) throw new CancelledException();
    }

    /** Says that a share (0 to 1) is done, a few times a second; and {@link #check}. */
    public void show(double share, String more) {
        check();
        long now = System.nanoTime();
        if (share < 1 && now - shown < SHOWN_NS) return;
        shown = now;
        IJ.showProgress(Math.min(share, 1));
        IJ.showStatus("CEM: " + verb + (more.isEmpty() ? "" : ", " + more) + left(share, (now - start) / 1e9));
    }

    private static String left(double share, double seconds) {
        if (share <= 0 || share >= 1 || seconds < 1) return "";
        long left = Math.round(seconds / share * (1 - share));
        return left < 100 ? ", " + left + " s left" : ", " + (left + 30) / 60 + " min left";
    }

    @Override
    public void close() {
        synchronized (this) {
            open = false;
        }
        watcher.interrupt();
        IJ.showProgress(1);
        IJ.showStatus("");
    }
}
