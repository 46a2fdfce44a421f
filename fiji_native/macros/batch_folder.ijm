// Segments every TIFF file of a folder: labels, and probabilities beside them.
folder = getArgument();
if (folder == "") folder = getDirectory("A folder with membrane.safetensors and a folder images");

output = folder + "results" + File.separator;
File.makeDirectory(output);
run("CEM Batch Folder...", "input=[" + folder + "images] pattern=*.tif output=[" + output + "] result=both overwrite "
    + "model=[" + folder + "membrane.safetensors]");
files = getFileList(output);
print(files.length + " files in " + output);
