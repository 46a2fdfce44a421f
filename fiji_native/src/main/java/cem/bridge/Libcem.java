package cem.bridge;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.nio.file.Path;

/** libcem, found, loaded once and checked. */
public final class Libcem {
    private static final int FFM_JAVA = 22;
    private static Bridge bridge;
    private static Path path;

    private Libcem() {}

    /** The bridge to the library; {@link BridgeException} if there is none. */
    public static synchronized Bridge bridge() {
        if (bridge == null) {
            path = find();
            Bridge found = open(path, System.getProperty("cem.bridge", "auto"));
            checkVersion(found);
            bridge = found;
        }
        return bridge;
    }

    /** Where the library lies. */
    public static synchronized Path path() {
        bridge();
        return path;
    }

    /** Version of this plugin, with which that of the library must agree. */
    static String version() {
        String version = Libcem.class.getPackage().getImplementationVersion();
        if (version == null) throw new BridgeException("the plugin's jar does not say its version; install it again");
        return version;
    }

    private static Path find() {
        try {
            return NativeFiles.library();
        } catch (IOException error) {
            throw new BridgeException("the native library cannot be unpacked: " + error);
        }
    }

    private static Bridge open(Path library, String kind) {
        if (!kind.equals("auto") && !kind.equals("jna") && !kind.equals("ffm"))
            throw new BridgeException("cem.bridge is " + kind + ", must be auto, jna or ffm");
        boolean foreign = kind.equals("ffm") || (kind.equals("auto") && feature() >= FFM_JAVA && hasForeign());
        if (kind.equals("ffm") && (feature() < FFM_JAVA || !hasForeign()))
            throw new BridgeException("cem.bridge is ffm, which needs Java 22 and a jar built with it; this is Java "
                + System.getProperty("java.version"));
        try {
            return foreign ? openForeign(library) : new JnaBridge(library);
        } catch (NoClassDefFoundError error) {
            throw new BridgeException("JNA is missing; put jna-5.14.0.jar into the folder jars");
        } catch (UnsatisfiedLinkError | IllegalArgumentException error) {
            throw new BridgeException(library + " cannot be loaded: " + firstLine(error));
        }
    }

    private static boolean hasForeign() {
        return Libcem.class.getResource("FfmBridge.class") != null;
    }

    private static Bridge openForeign(Path library) {
        try {
            return (Bridge) Class.forName("cem.bridge.FfmBridge").getDeclaredConstructor(Path.class)
                .newInstance(library);
        } catch (InvocationTargetException error) {
            if (error.getCause() instanceof RuntimeException) throw (RuntimeException) error.getCause();
            throw new BridgeException("java.lang.foreign: " + error.getCause());
        } catch (ReflectiveOperationException error) {
            throw new BridgeException("java.lang.foreign: " + error);
        }
    }

    private static void checkVersion(Bridge bridge) {
        String found = bridge.text(bridge.api().cem_version());
        if (!found.equals(version()))
            throw new BridgeException(path + " is version " + found + " but the plugin is " + version()
                + "; install both of one version");
    }

    static int feature() {
        String version = System.getProperty("java.specification.version");
        return Integer.parseInt(version.startsWith("1.") ? version.substring(2) : version);
    }

    private static String firstLine(Throwable error) {
        return String.valueOf(error.getMessage()).split("\n", 2)[0];
    }
}
