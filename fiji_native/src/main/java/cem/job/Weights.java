package cem.job;

import cem.bridge.Libcem;
import cem.core.CemException;
import cem.core.Json;
import cem.core.Model;
import cem.core.Safetensors;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Pre-trained weights, by name from the cache that {@code napari-cem weights} fills, or from a file. */
final class Weights {
    static final String SCRATCH = "scratch";
    private static final String STARTER = "starter";
    private static final List<String> KNOWN = Arrays.asList("cem500k", "cem1.5m");

    private Weights() {}

    /** The file for a name or a path. */
    static Path resolve(String name) {
        Path cached = name.equals(STARTER) ? starter() : folder().resolve(name + ".safetensors");
        if (!KNOWN.contains(name) && Files.isRegularFile(Paths.get(name))) return Paths.get(name);
        if (name.matches("[A-Za-z0-9][A-Za-z0-9._-]*") && Files.isRegularFile(cached)) return cached;
        if (KNOWN.contains(name))
            throw new CemException("the weights " + name + " are not in " + folder() + "; get them once with: napari-cem weights "
                + "fetch " + name + ", or give weights=starter");
        throw new CemException("the weights are '" + name + "', which is neither a file nor in " + folder());
    }

    /** The weights that come with the library: beside it, or in the Python package it belongs to. */
    private static Path starter() {
        Path folder = Libcem.path().getParent(), file = folder.resolve(STARTER + ".safetensors");
        return Files.isRegularFile(file) ? file : folder.resolveSibling(STARTER + ".safetensors");
    }

    private static Path folder() {
        String chosen = System.getenv("NAPARI_CEM_CACHE");
        if (chosen != null && !chosen.isEmpty()) return Paths.get(chosen);
        String home = System.getProperty("user.home"), system = System.getProperty("os.name").toLowerCase(Locale.ROOT);
        if (system.contains("mac")) return Paths.get(home, "Library", "Caches", "napari-cem");
        if (system.contains("win")) return Paths.get(System.getenv("LOCALAPPDATA"), "napari-cem", "Cache");
        String cache = System.getenv("XDG_CACHE_HOME");
        return cache == null || cache.isEmpty() ? Paths.get(home, ".cache", "napari-cem") : Paths.get(cache, "napari-cem");
    }

    /** Puts the encoder into a new model, with what its card is to know of it. */
    static Map<String, Object> load(Model model, String name) {
        Map<String, Object> fields = new LinkedHashMap<>();
        Map<String, Object> base = new LinkedHashMap<>();
        base.put("name", SCRATCH);
        base.put("sha256", null);
        Object norms = null;
        if (!name.equals(SCRATCH)) {
            Path path = resolve(name);
            Map<String, Object> card = Safetensors.card(path);
            model.loadBody(path);
            norms = card.get("norms");
            Object known = card.get("base");
            if (known != null) {
                base = new LinkedHashMap<>(Json.object(known));
            } else {
                base.put("name", path.getFileName().toString().replaceFirst("\\.[^.]*$", ""));
                base.put("sha256", sha256(path));
            }
            base.put("decoder", hasDecoder(model));
        }
        fields.put("norms", norms);
        fields.put("base", base);
        return fields;
    }

    /** Whether the decoder came with the encoder. */
    private static boolean hasDecoder(Model model) {
        Object base = model.card().get("base");
        return base != null && Boolean.TRUE.equals(Json.object(base).get("decoder"));
    }

    private static String sha256(Path path) {
        MessageDigest digest = newSha256();
        try (InputStream file = Files.newInputStream(path)) {
            byte[] part = new byte[1 << 16];
            for (int count = file.read(part); count >= 0; count = file.read(part)) digest.update(part, 0, count);
        } catch (IOException error) {
            throw new CemException(path + " cannot be read: " + error.getMessage());
        }
        return hex(digest);
    }

    static MessageDigest newSha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException(error);
        }
    }

    static String hex(MessageDigest digest) {
        StringBuilder text = new StringBuilder();
        for (byte one : digest.digest()) text.append(String.format("%02x", one));
        return text.toString();
    }
}
