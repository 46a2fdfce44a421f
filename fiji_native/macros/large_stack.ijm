// Segments a stack that need not fit into memory: it is opened as a virtual stack, and the core writes the result
// slice by slice, as BigTIFF beyond 4 GB. First three slices are looked at.
folder = getArgument();
if (folder == "") folder = getDirectory("A folder with image.tif and membrane.safetensors");

open(folder + "image.tif", "virtual");
model = "model=[" + folder + "membrane.safetensors]";
run("CEM Segment...", "image=image.tif slices=1-3 " + model);
close();
selectImage("image.tif");
run("CEM Segment...", "image=image.tif result=probabilities overwrite save=[" + folder + "probabilities.tif] " + model);
