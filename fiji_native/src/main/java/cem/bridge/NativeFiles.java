package cem.bridge;

import java.io.IOException;
import java.io.InputStream;
import java.net.JarURLConnection;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.stream.Stream;

/**
 * The native libraries: named by {@code -Dcem.path} (libcem or its folder), else unpacked from the jar into the user's
 * cache. The folder there is named by names, sizes and checksums of the files, and appears whole by one rename.
 */
final class NativeFiles {
    private NativeFiles() {}

    /** Absolute path of libcem, its companions beside it. */
    static Path library() throws IOException {
        String chosen = System.getProperty("cem.path");
        Path path = chosen == null ? unpacked().resolve(fileName()) : Paths.get(chosen).toAbsolutePath();
        if (Files.isDirectory(path)) path = path.resolve(fileName());
        if (!Files.isRegularFile(path))
            throw new BridgeException("there is no library " + path
                + (chosen == null ? "" : "; correct -Dcem.path, or leave it out"));
        return path;
    }

    private static String fileName() {
        String system = system();
        return system.equals("windows") ? "cem.dll" : system.equals("macos") ? "libcem.dylib" : "libcem.so";
    }

    private static String system() {
        String name = System.getProperty("os.name").toLowerCase(Locale.ROOT);
        return name.contains("win") ? "windows" : name.contains("mac") ? "macos" : "linux";
    }

    static String platform() {
        String machine = System.getProperty("os.arch").toLowerCase(Locale.ROOT);
        return system() + "-" + (machine.equals("amd64") ? "x86_64" : machine.equals("arm64") ? "aarch64" : machine);
    }

    private static Path unpacked() throws IOException {
        String folder = "natives/" + platform() + "/";
        URL url = NativeFiles.class.getResource("/" + folder + fileName());
        if (url == null)
            throw new BridgeException("the jar has no library for " + platform() + "; name one with -Dcem.path");
        if (!(url.openConnection() instanceof JarURLConnection))
            return Paths.get(url.getPath()).getParent();
        JarURLConnection connection = (JarURLConnection) url.openConnection();
        connection.setUseCaches(false);
        try (JarFile jar = connection.getJarFile()) {
            return unpack(jar, folder);
        }
    }

    private static Path unpack(JarFile jar, String folder) throws IOException {
        List<JarEntry> entries = new ArrayList<>();
        for (JarEntry entry : java.util.Collections.list(jar.entries()))
            if (entry.getName().startsWith(folder) && !entry.isDirectory()) entries.add(entry);
        entries.sort(Comparator.comparing(JarEntry::getName));
        Path cache = cache();
        Path target = cache.resolve(key(entries));
        if (Files.isDirectory(target)) return target;
        Files.createDirectories(cache);
        Path made = Files.createTempDirectory(cache, "unpacking");
        for (JarEntry entry : entries) copy(jar, entry, made.resolve(entry.getName().substring(folder.length())));
        try {
            Files.move(made, target);
        } catch (IOException error) {
            remove(made); // another ImageJ may have been first
            if (!Files.isDirectory(target)) throw error;
        }
        return target;
    }

    private static void copy(JarFile jar, JarEntry entry, Path to) throws IOException {
        Files.createDirectories(to.getParent());
        try (InputStream from = jar.getInputStream(entry)) {
            Files.copy(from, to);
        }
    }

    private static void remove(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            files.sorted(Comparator.reverseOrder()).forEach(path -> path.toFile().delete());
        }
    }

    private static Path cache() {
        String home = System.getProperty("user.home");
        if (system().equals("macos")) return Paths.get(home, "Library", "Caches", "napari-cem", "native");
        return Paths.get(home, ".cache", "napari-cem", "native");
    }

    private static String key(List<JarEntry> entries) {
        StringBuilder text = new StringBuilder();
        for (JarEntry entry : entries)
            text.append(entry.getName()).append(' ').append(entry.getSize()).append(' ').append(entry.getCrc()).append('\n');
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(text.toString().getBytes(StandardCharsets.UTF_8));
            StringBuilder name = new StringBuilder();
            for (int i = 0; i < 8; i++) name.append(String.format("%02x", digest[i]));
            return name.toString();
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException(error);
        }
    }
}
