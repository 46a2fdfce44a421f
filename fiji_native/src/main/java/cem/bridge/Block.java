package cem.bridge;

import java.nio.ByteBuffer;

/** Memory outside the Java heap, of any size. */
public interface Block extends AutoCloseable {
    long address();

    /** Bytes [at, at + bytes) in the machine's byte order; not to be used after {@link #close}. */
    ByteBuffer view(long at, int bytes);

    @Override
    void close();
}
