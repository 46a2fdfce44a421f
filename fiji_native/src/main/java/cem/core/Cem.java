package cem.core;

import cem.bridge.Block;
import cem.bridge.Bridge;
import cem.bridge.CemApi;
import cem.bridge.Libcem;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.function.LongToIntFunction;

/** Calls of libcem: statuses become exceptions, strings and outputs find their memory. */
public final class Cem {
    private static final int CANCELLED = -5;

    private Cem() {}

    public static CemApi api() {
        return Libcem.bridge().api();
    }

    /** Memory outside the Java heap, filled with anything. */
    public static Block allocate(long bytes) {
        try {
            return Libcem.bridge().allocate(Math.max(bytes, 1));
        } catch (OutOfMemoryError error) {
            throw new CemException("there is no memory for " + (bytes >> 20) + " MiB; close something, or segment in plane xy");
        }
    }

    /** Throws what a status says. */
    public static void check(long status) {
        if (status >= 0) return;
        if (status == CANCELLED) throw new CancelledException();
        Bridge bridge = Libcem.bridge();
        throw new CemException(bridge.text(bridge.api().cem_last_error()));
    }

    /** The C string at an address. */
    static String text(long address) {
        return Libcem.bridge().text(address);
    }

    /** Calls with the address of a C string. */
    static int with(String text, LongToIntFunction call) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        try (Block block = allocate(bytes.length + 1)) {
            block.view(0, bytes.length + 1).put(bytes).put((byte) 0);
            return call.applyAsInt(block.address());
        }
    }

    static int with(Path path, LongToIntFunction call) {
        return with(path.toString(), call);
    }

    /** The handle that a call writes to the address it is given. */
    static long made(LongToIntFunction call) {
        try (Block out = allocate(Long.BYTES)) {
            check(call.applyAsInt(out.address()));
            return out.view(0, Long.BYTES).getLong();
        }
    }

    /** Library version, as the card has it. */
    public static String version() {
        return text(api().cem_version());
    }

    public static int cores() {
        return api().cem_cores();
    }

    /** Nanometres of a length in a unit, 0 if that is no pixel size of an electron microscope. */
    public static double nanometres(double length, String unit) {
        try (Block out = allocate(Double.BYTES)) {
            check(with(unit, text -> api().cem_pixel_nm(out.address(), length, text)));
            return out.view(0, Double.BYTES).getDouble();
        }
    }
}
