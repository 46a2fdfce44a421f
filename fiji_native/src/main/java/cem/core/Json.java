package cem.core;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * JSON as maps, lists, strings, booleans, Longs (numbers written without point and exponent), Doubles and null.
 * What is malformed throws IllegalArgumentException.
 */
public final class Json {
    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    public static Object parse(String text) {
        Json json = new Json(text);
        Object value = json.value(0);
        json.skip();
        if (json.at < text.length()) throw json.wrong();
        return value;
    }

    /** A value that must be an object. */
    @SuppressWarnings("unchecked")
    public static Map<String, Object> object(Object value) {
        if (!(value instanceof Map)) throw new IllegalArgumentException("no JSON object");
        return (Map<String, Object>) value;
    }

    public static String write(Object value) {
        StringBuilder out = new StringBuilder();
        append(out, value);
        return out.toString();
    }

    private static void append(StringBuilder out, Object value) {
        String comma = "";
        if (value instanceof Map) {
            out.append('{');
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                quote(out.append(comma), String.valueOf(entry.getKey()));
                append(out.append(':'), entry.getValue());
                comma = ",";
            }
            out.append('}');
        } else if (value instanceof Iterable) {
            out.append('[');
            for (Object one : (Iterable<?>) value) {
                append(out.append(comma), one);
                comma = ",";
            }
            out.append(']');
        } else if (value instanceof String) {
            quote(out, (String) value);
        } else {
            out.append(value);
        }
    }

    private static void quote(StringBuilder out, String text) {
        out.append('"');
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') out.append('\\').append(c);
            else if (c < ' ') out.append(String.format("\\u%04x", (int) c));
            else out.append(c);
        }
        out.append('"');
    }

    private IllegalArgumentException wrong() {
        return new IllegalArgumentException("no JSON at character " + at);
    }

    private void skip() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++;
    }

    private boolean take(String token) {
        skip();
        if (!text.startsWith(token, at)) return false;
        at += token.length();
        return true;
    }

    private void must(String token) {
        if (!take(token)) throw wrong();
    }

    private Object value(int depth) {
        if (depth > 100) throw wrong();
        if (take("{")) return members(depth);
        if (take("[")) return elements(depth);
        if (take("\"")) return string();
        if (take("true")) return true;
        if (take("false")) return false;
        if (take("null")) return null;
        return number();
    }

    private Map<String, Object> members(int depth) {
        Map<String, Object> found = new LinkedHashMap<>();
        if (take("}")) return found;
        do {
            must("\"");
            String key = string();
            must(":");
            found.put(key, value(depth + 1));
        } while (take(","));
        must("}");
        return found;
    }

    private List<Object> elements(int depth) {
        List<Object> found = new ArrayList<>();
        if (take("]")) return found;
        do found.add(value(depth + 1)); while (take(","));
        must("]");
        return found;
    }

    private String string() {
        StringBuilder out = new StringBuilder();
        while (at < text.length()) {
            char c = text.charAt(at++);
            if (c == '"') return out.toString();
            out.append(c == '\\' ? escaped() : c);
        }
        throw wrong();
    }

    private char escaped() {
        if (at >= text.length()) throw wrong();
        char c = text.charAt(at++);
        int index = "\"\\/bfnrt".indexOf(c);
        if (index >= 0) return "\"\\/\b\f\n\r\t".charAt(index);
        if (c != 'u' || at + 4 > text.length()) throw wrong();
        at += 4;
        return (char) Integer.parseInt(text.substring(at - 4, at), 16);
    }

    private Number number() {
        int start = at;
        while (at < text.length() && "+-.0123456789eE".indexOf(text.charAt(at)) >= 0) at++;
        String word = text.substring(start, at);
        return number(word);
    }

    /** A Long, or a Double where the text has a point or an exponent. */
    public static Number number(String word) {
        if (word.matches("-?[0-9]{1,18}")) return Long.valueOf(word);
        return Double.valueOf(word);
    }
}
