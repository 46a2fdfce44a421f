package cem.command;

import cem.core.Model;
import cem.core.Safetensors;
import cem.job.Shown;
import ij.IJ;
import java.nio.file.Path;
import java.util.Map;

/** Writes into the log what a model's card tells. */
public final class ModelInfo extends Command {
    @Override
    Form form() {
        return new Form("CEM Model Info").file("model", ".safetensors");
    }

    @Override
    void execute(Values values) {
        Path path = values.path("model", "the .safetensors file of a model");
        Map<String, Object> card;
        if ("encoder".equals(Safetensors.card(path).get("kind"))) {
            card = Safetensors.card(path);
        } else {
            try (Model model = Model.load(path)) {
                card = model.card();
            }
        }
        IJ.log(path + "\n" + Shown.text(card));
    }
}
