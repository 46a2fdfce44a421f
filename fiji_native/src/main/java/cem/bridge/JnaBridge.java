package cem.bridge;

import com.sun.jna.Library;
import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Map;

/** Calls through JNA 5, on every Java from 8 on. */
final class JnaBridge implements Bridge {
    /** What JNA maps; public to it, since it makes a proxy. */
    public interface Mapping extends CemApi, Library {}

    private final CemApi api;

    JnaBridge(Path library) {
        checkVersion();
        api = Native.load(library.toString(), Mapping.class);
    }

    /** JNA 4, left by an old update site, lacks the method that is called here. */
    private static void checkVersion() {
        try {
            Native.class.getMethod("load", String.class, Class.class, Map.class);
        } catch (NoSuchMethodException error) {
            throw new BridgeException("the JNA in use is too old (" + version()
                + "); remove old jna-*.jar files from jars and plugins, version 5 is needed");
        }
        if (Native.POINTER_SIZE != 8) throw new BridgeException("this Java has 32 bits; a 64-bit one is needed");
    }

    private static String version() {
        return String.valueOf(Native.class.getPackage().getImplementationVersion());
    }

    @Override
    public CemApi api() {
        return api;
    }

    @Override
    public Block allocate(long bytes) {
        Memory memory = new Memory(bytes);
        return new Block() {
            @Override
            public long address() {
                return Pointer.nativeValue(memory);
            }

            @Override
            public ByteBuffer view(long at, int length) {
                return memory.getByteBuffer(at, length).order(ByteOrder.nativeOrder());
            }

            @Override
            public void close() {
                memory.close();
            }
        };
    }

    @Override
    public String text(long address) {
        return new Pointer(address).getString(0, "UTF-8");
    }

    @Override
    public String describe() {
        return "JNA " + version();
    }
}
