package cem.bridge;

/** libcem cannot be called; the message says what to do. */
public final class BridgeException extends RuntimeException {
    public BridgeException(String message) {
        super(message);
    }
}
