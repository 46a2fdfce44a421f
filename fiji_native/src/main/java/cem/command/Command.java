package cem.command;

import cem.bridge.BridgeException;
import cem.core.CancelledException;
import cem.core.CemException;
import ij.IJ;
import ij.Macro;
import ij.macro.Interpreter;
import ij.plugin.PlugIn;

/** A command of the menu: options from the macro or a dialog, then the work; what fails stops the macro. */
abstract class Command implements PlugIn {
    /** What it can be told. */
    abstract Form form();

    abstract void execute(Values values);

    @Override
    public final void run(String argument) {
        try {
            Values values = form().values();
            if (values != null) execute(values);
        } catch (CancelledException error) {
            stop(null);
        } catch (CemException | BridgeException error) {
            stop(error.getMessage());
        } catch (OutOfMemoryError error) {
            stop("ImageJ's memory is full; give it more (Edit > Options > Memory & Threads), or save to a file");
        } catch (RuntimeException error) {
            if (Macro.MACRO_CANCELED.equals(error.getMessage())) throw error;
            IJ.handleException(error);
            stop(error.toString());
        }
    }

    /** One line, none if the user has stopped it; it also stops the macro that called, which would go on otherwise. */
    private static void stop(String message) {
        Interpreter macro = Interpreter.getInstance();
        if (message == null) IJ.log("CEM: cancelled");
        else if (macro == null) IJ.error("CEM", message);
        else IJ.log("CEM ERROR: " + message);
        if (macro == null) return;
        macro.abortMacro();
        throw new RuntimeException(Macro.MACRO_CANCELED);
    }
}
