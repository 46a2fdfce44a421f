"""Small files in the formats of other programs."""

from pathlib import Path

import numpy as np


def write_mrc(path: Path, array: np.ndarray, voxel_nm: tuple[float, float] = (0, 0)) -> None:
    """An MRC file."""
    import mrcfile

    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(array)
        file.voxel_size = (voxel_nm[0] * 10, voxel_nm[0] * 10, voxel_nm[1] * 10)


def write_nrrd(
    path: Path, array: np.ndarray, encoding: str = "raw", voxel_nm: tuple[float, float] = (0, 0)
) -> None:
    """A NRRD file."""
    import nrrd

    header = {"encoding": encoding}
    if voxel_nm[0]:
        pixel, spacing = voxel_nm
        header["space directions"] = np.diag([pixel / 1e3, pixel / 1e3, spacing / 1e3])
        header["space"] = "left-posterior-superior"
        header["space units"] = ["um"] * 3
    nrrd.write(str(path), array, header, index_order="C")


def write_nifti(path: Path, array: np.ndarray, voxel_nm: tuple[float, float] = (0, 0)) -> None:
    """A NIfTI file."""
    import nibabel

    pixel, spacing = (size / 1e3 or 1 for size in voxel_nm)
    image = nibabel.Nifti1Image(array.T, np.diag([pixel, pixel, spacing, 1]))
    if voxel_nm[0]:
        image.header.set_xyzt_units("micron")
    nibabel.save(image, path)


WRITERS = {
    ".mrc": write_mrc,
    ".nrrd": write_nrrd,
    ".nii": write_nifti,
    ".nii.gz": write_nifti,
}
