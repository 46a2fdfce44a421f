package cem.command;

import cem.core.CemException;
import ij.ImagePlus;
import ij.Macro;
import ij.WindowManager;
import ij.gui.GenericDialog;
import java.awt.GraphicsEnvironment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Options of a command: told by a macro, or asked for in a dialog, which the Recorder then writes down. */
final class Form {
    private enum Kind { IMAGE, LABELS, ROIS, TEXT, NUMBER, CHOICE, FLAG, FILE, FOLDER }

    private static final class Field {
        final Kind kind;
        final String key;
        final String label;
        final String value;
        final List<String> choices;

        Field(Kind kind, String key, String hint, String value, String... choices) {
            this.kind = kind;
            this.key = key;
            this.label = hint.isEmpty() ? key : key + " (" + hint + ")";
            this.value = value;
            this.choices = Arrays.asList(choices);
        }
    }

    private final String title;
    private final Map<String, Field> fields = new LinkedHashMap<>();

    Form(String title) {
        this.title = title;
    }

    private Form add(Field field) {
        fields.put(field.key, field);
        return this;
    }

    /** An open image; the current one if none is named. */
    Form image(String key) {
        return add(new Field(Kind.IMAGE, key, "", ""));
    }

    /** An open image, the overlay or the ROI Manager. */
    Form labels(String key) {
        return add(new Field(Kind.LABELS, key, "", "overlay"));
    }

    /** The overlay or the ROI Manager. */
    Form rois(String key) {
        return add(new Field(Kind.ROIS, key, "", "overlay"));
    }

    Form text(String key, String hint, String value) {
        return add(new Field(Kind.TEXT, key, hint, value));
    }

    Form number(String key, String hint, String value) {
        return add(new Field(Kind.NUMBER, key, hint, value));
    }

    /** The first choice is the default. */
    Form choice(String key, String... choices) {
        return add(new Field(Kind.CHOICE, key, "", choices[0], choices));
    }

    /** Off unless a macro names it; {@code ticked} is what the dialog proposes. */
    Form flag(String key, boolean ticked) {
        return add(new Field(Kind.FLAG, key, "", String.valueOf(ticked)));
    }

    Form file(String key, String hint) {
        return add(new Field(Kind.FILE, key, hint, ""));
    }

    Form folder(String key) {
        return add(new Field(Kind.FOLDER, key, "", ""));
    }

    /** What was told; null if the dialog was cancelled. */
    Values values() {
        String options = Macro.getOptions();
        if (fields.isEmpty()) return new Values(new LinkedHashMap<>());
        if (options == null && !GraphicsEnvironment.isHeadless()) return asked();
        return told(Options.parse(options == null ? "" : options));
    }

    private Values told(Map<String, String> options) {
        for (String key : options.keySet())
            if (!fields.containsKey(key))
                throw new CemException("there is no option " + key + "; there are " + String.join(", ", fields.keySet()));
        Map<String, String> found = new LinkedHashMap<>();
        for (Field field : fields.values()) {
            String value = options.getOrDefault(field.key, field.kind == Kind.FLAG ? "false" : field.value);
            if (field.kind == Kind.CHOICE && !field.choices.contains(value))
                throw new CemException(field.key + " is " + value + "; it must be one of " + String.join(", ", field.choices));
            found.put(field.key, value);
        }
        return new Values(found);
    }

    private Values asked() {
        List<String> images = Arrays.stream(WindowManager.getImageTitles()).collect(Collectors.toList());
        GenericDialog dialog = new GenericDialog(title);
        for (Field field : fields.values()) put(dialog, field, images);
        dialog.showDialog();
        if (dialog.wasCanceled()) return null;
        Map<String, String> found = new LinkedHashMap<>();
        for (Field field : fields.values()) found.put(field.key, take(dialog, field));
        return told(found);
    }

    private static void put(GenericDialog dialog, Field field, List<String> images) {
        switch (field.kind) {
            case IMAGE:
                ImagePlus current = WindowManager.getCurrentImage();
                if (current == null) throw new CemException("there is no image open; open one first");
                dialog.addChoice(field.label, images.toArray(new String[0]), current.getTitle());
                break;
            case LABELS: case ROIS:
                List<String> sources = new ArrayList<>(Arrays.asList("overlay", "roi_manager"));
                if (field.kind == Kind.LABELS) sources.addAll(images);
                dialog.addChoice(field.label, sources.toArray(new String[0]), field.value);
                break;
            case CHOICE: dialog.addChoice(field.label, field.choices.toArray(new String[0]), field.value); break;
            case FLAG: dialog.addCheckbox(field.label, field.value.equals("true")); break;
            case FILE: dialog.addFileField(field.label, field.value); break;
            case FOLDER: dialog.addDirectoryField(field.label, field.value); break;
            default: dialog.addStringField(field.label, field.value, field.kind == Kind.NUMBER ? 8 : 24);
        }
    }

    private static String take(GenericDialog dialog, Field field) {
        switch (field.kind) {
            case IMAGE: case LABELS: case ROIS: case CHOICE: return dialog.getNextChoice();
            case FLAG: return dialog.getNextBoolean() ? "true" : "false";
            default: return dialog.getNextString();
        }
    }
}
