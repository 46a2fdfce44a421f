"""python -m napari_cem is the command napari-cem."""

from napari_cem.cli import main

main()
