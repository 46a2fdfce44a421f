package cem.command;

import cem.bridge.Bridge;
import cem.bridge.Libcem;
import ij.IJ;

/** Writes into the log which library is called, and how. */
public final class Diagnostics extends Command {
    @Override
    Form form() {
        return new Form("CEM Diagnostics");
    }

    @Override
    void execute(Values values) {
        Bridge bridge = Libcem.bridge();
        IJ.log("CEM library: " + bridge.text(bridge.api().cem_version()) + ", " + Libcem.path());
        IJ.log("CEM bridge: " + bridge.describe());
        IJ.log("CEM backend: " + bridge.text(bridge.api().cem_backend()));
        IJ.log("CEM cores: " + bridge.api().cem_cores());
    }
}
