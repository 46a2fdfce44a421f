package cem.command;

import cem.core.CemException;
import java.util.LinkedHashMap;
import java.util.Map;

/** The text of a macro's options: {@code key=value key=[a value with spaces] flag}. */
final class Options {
    private final String text;
    private int at;

    private Options(String text) {
        this.text = text;
    }

    /** Values by keys; a flag's value is "true". */
    static Map<String, String> parse(String text) {
        Options options = new Options(text.trim());
        Map<String, String> found = new LinkedHashMap<>();
        while (options.at < options.text.length()) {
            String key = options.until("= ");
            if (key.isEmpty()) throw new CemException("the options are '" + text.trim() + "'; write key=value");
            String value = options.take('=') ? options.value() : "true";
            if (found.put(key, value) != null) throw new CemException("the option " + key + " is there twice; leave one out");
            while (options.take(' ')) continue;
        }
        return found;
    }

    private boolean take(char wanted) {
        if (at == text.length() || text.charAt(at) != wanted) return false;
        at++;
        return true;
    }

    private String until(String ends) {
        int start = at;
        while (at < text.length() && ends.indexOf(text.charAt(at)) < 0) at++;
        return text.substring(start, at);
    }

    private String value() {
        if (!take('[')) return until(" ");
        int start = at;
        for (int depth = 1; at < text.length(); at++) {
            if (text.charAt(at) == '[') depth++;
            if (text.charAt(at) == ']' && --depth == 0) return text.substring(start, at++);
        }
        throw new CemException("the options have no ] after [" + text.substring(start));
    }
}
