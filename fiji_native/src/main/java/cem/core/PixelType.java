package cem.core;

import java.util.Locale;

/** Types of pixels; numbers, sizes in bytes and names are those of the C and the Python side. */
public enum PixelType {
    UINT8(1, 1), UINT16(2, 2), UINT32(3, 4), INT8(4, 1), INT16(5, 2), INT32(6, 4), FLOAT32(7, 4), FLOAT64(8, 8);

    public final int number;
    public final int bytes;

    PixelType(int number, int bytes) {
        this.number = number;
        this.bytes = bytes;
    }

    static PixelType of(long number) {
        return values()[(int) number - 1];
    }

    /** "uint8", as NumPy says it. */
    public String text() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Whether pixels are whole numbers. */
    public boolean integral() {
        return this != FLOAT32 && this != FLOAT64;
    }
}
