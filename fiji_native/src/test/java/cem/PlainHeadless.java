package cem;

import ij.Menus;
import ij.macro.Interpreter;
import java.io.InputStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Scanner;

/** Runs a macro file in plain ImageJ without a display, where the table of commands cannot be made with the menus. */
public final class PlainHeadless {
    private PlainHeadless() {}

    @SuppressWarnings("unchecked") // ImageJ's table has no types
    public static void main(String[] arguments) throws Exception {
        makeTable();
        try (InputStream config = PlainHeadless.class.getResourceAsStream("/plugins.config");
                Scanner lines = new Scanner(config, "UTF-8")) {
            while (lines.hasNextLine()) {
                String[] parts = lines.nextLine().split("\"?, \"?|\", ");
                if (parts.length == 3) Menus.getCommands().put(parts[1], parts[2]);
            }
        }
        Interpreter interpreter = new Interpreter();
        interpreter.setIgnoreErrors(true);
        interpreter.runBatchMacro(new String(Files.readAllBytes(Paths.get(arguments[0])), "UTF-8"), null);
        if (interpreter.wasError()) System.out.println("macro error: " + interpreter.getErrorMessage());
        System.exit(0);
    }

    private static void makeTable() throws ReflectiveOperationException {
        for (Constructor<?> constructor : Menus.class.getDeclaredConstructors()) {
            constructor.setAccessible(true);
            Object menus = constructor.newInstance(new Object[constructor.getParameterCount()]);
            try {
                Method add = Menus.class.getDeclaredMethod("addMenuBar");
                add.setAccessible(true);
                add.invoke(menus);
            } catch (InvocationTargetException error) {
                // there is no display: the table is there all the same
            }
        }
    }
}
