package cem;

import java.nio.file.Files;
import java.nio.file.Paths;
import net.imagej.patcher.LegacyEnvironment;

/** Runs a macro file without a display under the patches that Fiji applies to ImageJ. */
public final class PatchedHeadless {
    private PatchedHeadless() {}

    public static void main(String[] arguments) throws Exception {
        LegacyEnvironment environment = new LegacyEnvironment(null, true);
        environment.runMacro(new String(Files.readAllBytes(Paths.get(arguments[0])), "UTF-8"), "");
        System.exit(0);
    }
}
