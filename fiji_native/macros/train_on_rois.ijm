// Draws strokes as ROIs and trains on them: the ROI's group is the class (1 background), its position the slice,
// and a line is as wide as its stroke. By hand: draw, set the group in Image > Overlay > Selection Properties, press b.
folder = getArgument();
if (folder == "") folder = getDirectory("A folder with image.tif");

open(folder + "image.tif");
image = getTitle();
stroke(17, 1, newArray(25, 35, 40), newArray(25, 30, 45));
stroke(17, 1, newArray(60, 70), newArray(100, 105));
stroke(17, 2, newArray(10, 20, 30), newArray(60, 65, 70));
stroke(33, 2, newArray(75, 80, 90), newArray(50, 65, 75));
run("CEM Labels from ROIs...", "image=[" + image + "] source=overlay");
saveAs("tiff", folder + "strokes.tif");
run("CEM Train...", "image=[" + image + "] labels=overlay classes=background,membrane steps=300 "
    + "output=[" + folder + "strokes.safetensors]");
run("CEM Model Info...", "model=[" + folder + "strokes.safetensors]");

function stroke(slice, class, x, y) {
    selectImage(image);
    makeSelection("polyline", x, y);
    Roi.setStrokeWidth(3);
    Roi.setGroup(class);
    Overlay.addSelection;
    Overlay.setPosition(slice);
    Roi.remove;
}
