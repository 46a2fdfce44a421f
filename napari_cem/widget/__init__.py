"""napari's dock widget "CEM Segment".  Nothing is computed here: all of that is in the Python API.

dock.py       the widget: sections, footer, keys
sections/     one file a section: data, labels, train, preview, segment, objects
project.py    one image being worked on: what the sections show and what their buttons do
painting.py   the labels layer: which slices changed
training.py   the worker that trains and predicts
overlay.py    the layers that show what was predicted
segmenting.py the worker that segments the stack
suggesting.py what to label next, found in a worker
viewport.py   what is on screen
layers.py     our layers: how they are made and found again
"""
