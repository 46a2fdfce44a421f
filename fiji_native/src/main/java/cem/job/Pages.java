package cem.job;

import cem.bridge.Block;

/** Where pages of one result go, in order. */
public interface Pages extends AutoCloseable {
    /** Appends the page that begins at byte {@code at} of a block. */
    void add(Block pixels, long at);

    /** Puts the result into place. */
    void finish();

    /** Drops what was not finished. */
    @Override
    void close();
}
