// Trains with three seeds in memory, keeps the model that agrees best with labels it has not seen, and saves it.
folder = getArgument();
if (folder == "") folder = getDirectory("A folder with image.tif, labels.tif and truth.tif, whose membrane is 2");

run("CEM Macro Extensions");
open(folder + "image.tif");
open(folder + "labels.tif");
open(folder + "truth.tif");
best = -1;
for (seed = 0; seed < 3; seed++) {
    loss = 0; model = ""; iou = 0;
    Ext.CEM_train("image.tif", "labels.tif", 300, seed, loss, model);
    labels = Ext.CEM_segment(model, "image.tif");
    Ext.CEM_iou(labels, "truth.tif", 2, iou);
    close(labels);
    print("seed " + seed + ": loss " + d2s(loss, 4) + ", IoU " + d2s(iou, 3));
    if (iou > best) {
        best = iou;
        Ext.CEM_saveModel(model, folder + "best.safetensors");
    }
    Ext.CEM_close(model);
}
