package cem.core;

/** What a user can mend; the message, one line, says how. */
public class CemException extends RuntimeException {
    public CemException(String message) {
        super(message);
    }
}
