package cem;

import ij.IJ;
import ij.ImageJ;
import ij.WindowManager;
import ij.gui.GenericDialog;
import ij.plugin.frame.Recorder;
import java.awt.Button;
import java.awt.Checkbox;
import java.awt.Choice;
import java.awt.Component;
import java.awt.Container;
import java.awt.Dialog;
import java.awt.Label;
import java.awt.Rectangle;
import java.awt.Robot;
import java.awt.TextField;
import java.awt.Toolkit;
import java.awt.Window;
import java.awt.event.ActionEvent;
import java.awt.image.BufferedImage;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import javax.imageio.ImageIO;

/**
 * Drives ImageJ's windows by a script of lines: {@code open PATH}, {@code macro CODE}, {@code command NAME},
 * {@code set KEY VALUE}, {@code shot FILE}, {@code ok}, {@code pause MILLISECONDS}, {@code wait LOG}, {@code title IMAGE},
 * {@code recorded}.
 */
public final class GuiDriver {
    private static final int PATIENCE_MS = 60_000;

    private static GenericDialog dialog;

    private GuiDriver() {}

    public static void main(String[] arguments) throws Exception {
        try {
            run(arguments[0]);
        } catch (Throwable error) {
            error.printStackTrace();
        }
        System.exit(0);
    }

    private static void run(String script) throws Exception {
        new ImageJ();
        for (String line : Files.readAllLines(Paths.get(script))) {
            String[] words = line.split(" ", 2);
            step(words[0], words.length > 1 ? words[1] : "");
        }
        System.out.println("GUI-END");
    }

    private static void step(String verb, String rest) throws Exception {
        switch (verb) {
            case "open": IJ.open(rest); break;
            case "macro": IJ.runMacro(rest); break;
            case "command":
                awaitCommands();
                if (Recorder.getInstance() == null) IJ.run("Record...");
                IJ.doCommand(rest);
                dialog = await(GuiDriver::shown, "a dialog of " + rest);
                break;
            case "set": set(rest.split(" ", 2)[0], rest.contains(" ") ? rest.split(" ", 2)[1] : ""); break;
            case "shot": shot(Paths.get(rest)); break;
            case "pause": Thread.sleep(Long.parseLong(rest)); break;
            case "ok": press(dialog.getButtons()[0]); break;
            case "wait": await(() -> IJ.getLog() != null && IJ.getLog().contains(rest) ? true : null, rest); break;
            case "title": await(() -> WindowManager.getImage(rest), rest); break;
            case "recorded":
                awaitCommands();
                System.out.println(Recorder.getInstance().getText());
                break;
            default: throw new IllegalArgumentException(verb);
        }
    }

    private static <T> T await(Callable<T> what, String name) throws Exception {
        for (int waited = 0; waited < PATIENCE_MS; waited += 50) {
            T found = what.call();
            if (found != null) return found;
            Thread.sleep(50);
        }
        throw new IllegalStateException("there never was " + name + "; the log: " + IJ.getLog());
    }

    /** A command is recorded only when it has ended. */
    private static void awaitCommands() throws Exception {
        await(() -> Thread.getAllStackTraces().keySet().stream()
            .noneMatch(thread -> thread.getName().matches("CEM .*\\.\\.\\.")) ? true : null, "an end of the command");
    }

    private static GenericDialog shown() {
        for (Window window : Window.getWindows())
            if (window instanceof GenericDialog && window.isVisible() && ((Dialog) window).getTitle().startsWith("CEM"))
                return (GenericDialog) window;
        return null;
    }

    private static void press(Button button) {
        Toolkit.getDefaultToolkit().getSystemEventQueue()
            .postEvent(new ActionEvent(button, ActionEvent.ACTION_PERFORMED, button.getActionCommand()));
    }

    /** Sets the field that follows the label, or the check box, whose text begins with {@code key}. */
    private static void set(String key, String value) {
        List<Component> parts = new ArrayList<>();
        collect(dialog, parts);
        boolean found = false;
        for (Component part : parts) {
            if (part instanceof Checkbox && begins(((Checkbox) part).getLabel(), key)) {
                ((Checkbox) part).setState(value.equals("true"));
                return;
            }
            if (part instanceof Label && begins(((Label) part).getText(), key)) found = true;
            else if (found && part instanceof TextField) {
                ((TextField) part).setText(value);
                return;
            } else if (found && part instanceof Choice) {
                ((Choice) part).select(value);
                return;
            }
        }
        throw new IllegalArgumentException("the dialog has no " + key);
    }

    private static boolean begins(String label, String key) {
        return label.matches("(?s)" + key.replace('_', ' ') + "\\b.*");
    }

    private static void collect(Container container, List<Component> parts) {
        for (Component part : container.getComponents()) {
            parts.add(part);
            if (part instanceof Container) collect((Container) part, parts);
        }
    }

    private static void shot(Path file) throws Exception {
        Thread.sleep(800);
        Rectangle screen = new Rectangle(Toolkit.getDefaultToolkit().getScreenSize());
        BufferedImage picture = new Robot().createScreenCapture(screen);
        ImageIO.write(picture, "png", new File(file.toString()));
    }
}
