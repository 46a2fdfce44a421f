package cem.bridge;

/** A way to call libcem. */
public interface Bridge {
    CemApi api();

    /** Memory filled with anything. */
    Block allocate(long bytes);

    /** The C string at an address. */
    String text(long address);

    /** What the bridge is, in words. */
    String describe();
}
