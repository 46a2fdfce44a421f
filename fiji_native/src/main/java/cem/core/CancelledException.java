package cem.core;

/** The user has stopped the work. */
public final class CancelledException extends CemException {
    public CancelledException() {
        super("cancelled");
    }
}
