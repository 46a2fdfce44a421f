package cem.core;

import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;

/** The card in a .safetensors file, without its tensors. */
public final class Safetensors {
    private static final long MOST_BYTES = 4 << 20;

    private Safetensors() {}

    /** The card of a file of weights or of a model, empty if it has none. */
    public static Map<String, Object> card(Path path) {
        try (InputStream file = Files.newInputStream(path)) {
            Map<String, Object> header = Json.object(Json.parse(header(new DataInputStream(file))));
            Object metadata = header.get("__metadata__");
            Object text = metadata == null ? null : Json.object(metadata).get("card");
            return text == null ? Collections.emptyMap() : Json.object(Json.parse((String) text));
        } catch (IOException error) {
            throw new CemException(path + " cannot be read: " + error.getMessage());
        } catch (IllegalArgumentException | ClassCastException error) {
            throw new CemException(path + " is not a .safetensors file; if it is a PyTorch checkpoint, run: "
                + "napari-cem weights import " + path);
        }
    }

    private static String header(DataInputStream file) throws IOException {
        byte[] start = new byte[Long.BYTES];
        if (file.read(start) < start.length) throw new IllegalArgumentException("it is too short");
        long length = Long.reverseBytes(ByteBuffer.wrap(start).getLong());
        if (length < 2 || length > MOST_BYTES) throw new IllegalArgumentException("it has no header");
        byte[] text = new byte[(int) length];
        try {
            file.readFully(text);
        } catch (EOFException error) {
            throw new IllegalArgumentException("its header is cut off", error);
        }
        return new String(text, StandardCharsets.UTF_8);
    }
}
