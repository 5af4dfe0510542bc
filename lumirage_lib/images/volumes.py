"""Images and label maps with their affine: loading, saving, orientation, windows and resampling.

World coordinates are millimetres in RAS+ (nibabel's convention); an affine maps voxel indices to
them. Inside the library every volume is in canonical RAS: axis 0 grows to the right, axis 1 to
anterior, axis 2 to superior.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel import orientations
from scipy import ndimage

from ..errors import InputError


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3-D array with its place in the world.

    Attributes
    ----------
    data : ndarray, shape (X, Y, Z)
        Intensities (floating) or labels (integer).
    affine : ndarray, shape (4, 4)
        Voxel index -> world, mm, RAS+.
    name : str
        Used in messages.
    """

    data: np.ndarray
    affine: np.ndarray
    name: str = "volume"

    def __post_init__(self):
        if self.data.ndim != 3:
            raise InputError(
                f"{self.name}: expected a 3-D array, got shape {self.data.shape}; "
                "pass one volume, without time or channel axis"
            )
        affine = np.asarray(self.affine, float)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise InputError(f"{self.name}: the affine must be a finite 4x4 matrix, got {affine}")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise InputError(
                f"{self.name}: the affine is singular (determinant 0), so voxels have no size; "
                "repair the header, e.g. with `nibabel.Nifti1Image(data, affine)`"
            )
        object.__setattr__(self, "affine", affine)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.data.shape

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel edge lengths along the array axes, mm."""
        return tuple(float(s) for s in np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def orientation(self) -> str:
        """Closest axis codes, e.g. ``"RAS"``."""
        return "".join(nib.aff2axcodes(self.affine))


def load_volume(path: str | Path, *, labels: bool = False, dtype=None) -> Volume:
    """Read a NIfTI or MGH file.

    Parameters
    ----------
    path : path
        File to read; trailing axes of length one are dropped.
    labels : bool
        Read as integers (a value that is not whole is refused) instead of float32.
    dtype : numpy dtype, optional
        Override the type of the array.

    Raises
    ------
    InputError
        The file is missing, not an image, truncated, not 3-D, has NaN or infinite values, or has a
        singular affine.
    """
    path = Path(path)
    try:
        image = nib.load(path)
        # float64 would double memory; scaled integers fit float32.
        data = np.asanyarray(image.dataobj) if labels else image.get_fdata(dtype=np.float32)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except Exception as error:  # nibabel raises many kinds for broken files
        raise InputError(
            f"{path}: not a readable NIfTI or MGH image ({error}); "
            "the file may be truncated, copy or download it again"
        ) from error
    while data.ndim > 3 and data.shape[-1] == 1:
        data = data[..., 0]
    if not np.isfinite(data).all():
        raise InputError(
            f"{path}: {np.count_nonzero(~np.isfinite(data))} voxels are NaN or infinite; "
            "replace them (e.g. numpy.nan_to_num) before registering"
        )
    if labels:
        whole = np.rint(data).astype(np.int32)
        if not np.array_equal(whole, data):
            raise InputError(
                f"{path}: label values must be whole numbers below 2^31; this looks like an image"
            )
        data = whole
    return Volume(data if dtype is None else data.astype(dtype), image.affine, path.name)


def save_volume(volume: Volume, path: str | Path) -> Path:
    """Write a NIfTI file atomically: the path holds the whole file or is left as it was."""
    data = volume.data
    # Types that NIfTI, or the tools that read it, do not know: numpy's default integer is one.
    known = {"bool": np.uint8, "int64": np.int32, "uint64": np.int32, "float16": np.float32}
    data = data.astype(known.get(data.dtype.name, data.dtype), copy=False)
    return save_nifti(nib.Nifti1Image(data, volume.affine), path)


def save_nifti(image: nib.Nifti1Image, path: str | Path) -> Path:
    """Write a nibabel image atomically; the name must end in .nii or .nii.gz."""
    path = Path(path)
    suffix = next((s for s in (".nii.gz", ".nii") if path.name.endswith(s)), None)
    if suffix is None:
        raise InputError(f"{path}: expected a name that ends in .nii or .nii.gz; rename it so")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(suffix=suffix, dir=path.parent)
    os.close(handle)
    try:
        nib.save(image, temporary)
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would keep colleagues out
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def _ornt(codes: str) -> np.ndarray:
    # nibabel takes "RRS" and "RA" without complaint, and later steps go wrong in silence.
    if sorted({"L": "R", "P": "A", "I": "S"}.get(c, c) for c in codes) != ["A", "R", "S"]:
        raise InputError(
            f"orientation {codes!r}: expected three letters, one of each of L/R, A/P, I/S, "
            'such as "RAS" or "LIA"'
        )
    return orientations.axcodes2ornt(tuple(codes))


def reorientation(shape: tuple[int, int, int], source: str, target: str) -> np.ndarray:
    """Voxel matrix (4, 4) from an array in `target` orientation back to the one in `source`.

    ``source_index = matrix @ target_index``; `shape` is that of the source array.
    """
    transform = orientations.ornt_transform(_ornt(source), _ornt(target))
    return orientations.inv_ornt_aff(transform, shape)


def reorient_array(array: np.ndarray, source: str, target: str) -> np.ndarray:
    """Flip and permute the axes of a 3-D array from one axis code to another, without loss."""
    return orientations.apply_orientation(
        array, orientations.ornt_transform(_ornt(source), _ornt(target))
    )


def reorient(volume: Volume, codes: str = "RAS") -> Volume:
    """The same volume with its array axes in another order; every voxel keeps its world place."""
    source = volume.orientation
    if source == codes:
        return volume
    data = np.ascontiguousarray(reorient_array(volume.data, source, codes))
    return replace(
        volume, data=data, affine=volume.affine @ reorientation(volume.shape, source, codes)
    )


def translation(offset) -> np.ndarray:
    """4x4 matrix that adds `offset`."""
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return matrix


def window(volume: Volume, start, shape, fill=0) -> Volume:
    """Crop and pad in one step: the box of `shape` whose first voxel is `start`, which may be < 0.

    Voxels outside the volume get `fill`; the affine moves with the box.
    """
    start, shape = np.asarray(start, int), np.asarray(shape, int)
    out = np.full(tuple(shape), fill, volume.data.dtype)
    low = np.maximum(start, 0)
    high = np.minimum(start + shape, volume.shape)
    if (high > low).all():
        source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        target = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
        out[target] = volume.data[source]
    return replace(volume, data=out, affine=volume.affine @ translation(start))


def bounding_box(mask: np.ndarray, margin: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """First voxel and shape of the box around a mask, widened by `margin` voxels on each side.

    Raises
    ------
    InputError
        The mask is empty.
    """
    start, stop = [], []
    for axis in range(mask.ndim):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        if hit.size == 0:
            raise InputError("the mask is empty: there is no brain to crop to; check the image")
        start.append(hit[0] - margin)
        stop.append(hit[-1] + 1 + margin)
    return np.array(start), np.array(stop) - np.array(start)


def round_up(shape, multiple: int) -> np.ndarray:
    """Smallest multiples of `multiple` that are >= `shape`."""
    return -(-np.asarray(shape, int) // multiple) * multiple


def resample(volume: Volume, affine: np.ndarray, shape, order: int = 1, fill=0.0) -> Volume:
    """Sample a volume on another grid of the same world.

    Parameters
    ----------
    affine, shape
        The new grid: voxel -> world (mm, RAS+), and its size.
    order : int
        Spline order; 0 for labels. Voxels outside the volume get `fill`.
    """
    matrix = np.linalg.inv(volume.affine) @ affine
    dtype = volume.data.dtype if order == 0 else np.float32
    data = ndimage.affine_transform(
        volume.data,
        matrix[:3, :3],
        matrix[:3, 3],
        tuple(shape),
        dtype,
        order,
        mode="grid-constant",  # "constant" drops an edge voxel that rounding puts at -1e-16
        cval=fill,
    )
    return replace(volume, data=data, affine=np.asarray(affine, float))


def rescale_grid(affine: np.ndarray, shape, spacing_mm) -> tuple[np.ndarray, tuple[int, ...]]:
    """The grid that covers the same box with voxels of another size (voxel faces aligned)."""
    old = np.linalg.norm(affine[:3, :3], axis=0)
    zoom = np.broadcast_to(np.asarray(spacing_mm, float), 3) / old
    new_shape = tuple(int(n) for n in np.maximum(1, np.ceil(np.asarray(shape) / zoom - 1e-6)))
    scale = np.diag([*zoom, 1.0])
    scale[:3, 3] = (zoom - 1) / 2  # centre of the first voxel, not its corner, starts the grid
    return affine @ scale, new_shape
