// Trains on a stack and its label image, segments the stack, and saves both the model and the labels.
// Labels: 0 is not annotated, 1 is background, 2 and up are classes.
folder = getArgument();
if (folder == "") folder = getDirectory("A folder with image.tif and labels.tif");

open(folder + "image.tif");
open(folder + "labels.tif");
run("CEM Train...", "image=image.tif labels=labels.tif classes=background,membrane steps=300 "
    + "output=[" + folder + "membrane.safetensors]");
run("CEM Segment...", "image=image.tif model=[" + folder + "membrane.safetensors]");
saveAs("tiff", folder + "membrane.tif");
print("labels in " + folder + "membrane.tif");
