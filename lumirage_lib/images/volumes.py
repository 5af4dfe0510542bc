"""Images and label maps with their affine: loading, saving, orientation, windows and resampling.

World coordinates are millimetres in RAS+ (nibabel's convention); an affine maps voxel indices to
them. Inside the library every volume is in canonical RAS: axis 0 grows to the right, axis 1 to
anterior, axis 2 to superior.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import scipy  # which loads `scipy.ndimage` when it is first used
from nibabel import orientations

from ..errors import InputError
from ..files import replacing
from .reading import (
    SAME_MM,
    Shape,
    check_affine,
    check_angles,
    check_size,
    read_data,
    read_header,
)

LOST = 0.1  # share of a label map that may lie outside the grid of its image
LARGEST_LABEL = 2**31 - 1
WHOLE = 1e-3  # scaled integers come this close to the number they stand for, relative beyond 1


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
    notes : tuple of str
        What had to be assumed when the file was read, to be told to the user.
    """

    data: np.ndarray
    affine: np.ndarray
    name: str = "volume"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.data.ndim != 3:
            raise InputError(
                f"{self.name}: expected a 3-D array, got shape {self.data.shape}; "
                "pass one volume, without time or channel axis"
            )
        affine = np.asarray(self.affine, float)
        check_affine(affine, self.name)
        object.__setattr__(self, "affine", affine)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.data.shape

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel edge lengths along the array axes, mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def orientation(self) -> str:
        """Closest axis codes, e.g. ``"RAS"``."""
        return "".join(nib.aff2axcodes(self.affine))


def load_volume(
    path: str | Path, *, labels: bool = False, dtype: Any = None, assume: str = ""
) -> Volume:
    """Read a NIfTI or MGH file.

    Parameters
    ----------
    path : path
        File to read; trailing axes of length one are dropped. Its unit of length is converted to mm.
    labels : bool
        Read as integers (a value that is not whole is refused) instead of float32.
    dtype : numpy dtype, optional
        Override the type of the array.
    assume : str
        Axis codes taken where the file does not say how its axes lie, e.g. "LPS".

    Raises
    ------
    InputError
        The file is missing, not an image, damaged anywhere, not 3-D, of colours or complex numbers, has
        NaN or infinite values, a singular or skewed affine, or no orientation and none was assumed.
    """
    path = Path(path)
    header = read_header(path, assume)
    if len(header.shape) != 3:
        raise InputError(
            f"{path}: expected a 3-D array, got shape {header.shape}; "
            "pass one volume, without time or channel axis"
        )
    check_affine(header.affine, str(path))
    check_angles(header.affine, str(path))
    stored = header.image.get_data_dtype()
    if stored.fields:
        raise InputError(
            f"{path}: a colour image (RGB); expected one value a voxel, convert it to grey"
        )
    if stored.kind == "c":
        raise InputError(f"{path}: complex values; expected real ones, pass the magnitude")
    # float64 would double memory; scaled integers fit float32.
    data = read_data(path, header, None if labels else np.float32)
    if not np.isfinite(data).all():
        raise InputError(
            f"{path}: {np.count_nonzero(~np.isfinite(data))} voxels are NaN or infinite; "
            "replace them (e.g. numpy.nan_to_num) before registering"
        )
    if labels:
        data = _to_labels(data, path)
    data = data if dtype is None else data.astype(dtype)
    return Volume(data, header.affine, path.name, header.notes)


def _to_labels(data: np.ndarray, path: Path) -> np.ndarray:
    """Whole numbers, as int32; those a scale factor left a little beside one are put right."""
    if data.dtype.kind in "bui" and data.dtype.itemsize < 4:
        return data.astype(np.int32)
    whole: np.ndarray = np.rint(data)
    beyond = np.abs(whole) > LARGEST_LABEL
    astray = np.abs(data - whole) > WHOLE * np.maximum(1, np.abs(whole) / 1000)
    if beyond.any() or astray.any():
        found = data[beyond | astray].flat[0]
        raise InputError(
            f"{path}: label values must be whole numbers below 2^31, found {found:g}; "
            "this looks like an image"
        )
    return np.asarray(whole.astype(np.int32))


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
    if not path.name.endswith((".nii.gz", ".nii")):
        raise InputError(f"{path}: expected a name that ends in .nii or .nii.gz; rename it so")
    image.header.set_xyzt_units("mm")
    with replacing(path) as part:
        nib.save(image, part)
    return path


def _ornt(codes: str) -> np.ndarray:
    # nibabel takes "RRS" and "RA" without complaint, and later steps go wrong in silence.
    if sorted({"L": "R", "P": "A", "I": "S"}.get(c, c) for c in codes) != ["A", "R", "S"]:
        raise InputError(
            f"orientation {codes!r}: expected three letters, one of each of L/R, A/P, I/S, "
            'such as "RAS" or "LIA"'
        )
    return np.asarray(orientations.axcodes2ornt(tuple(codes)))


def reorientation(shape: tuple[int, int, int], source: str, target: str) -> np.ndarray:
    """Voxel matrix (4, 4) from an array in `target` orientation back to the one in `source`.

    ``source_index = matrix @ target_index``; `shape` is that of the source array.

    Examples
    --------
    The first voxel in LPS is the last of the first two axes in RAS:

    >>> reorientation((10, 20, 30), "RAS", "LPS") @ [0, 0, 0, 1]
    array([ 9., 19.,  0.,  1.])
    """
    transform = orientations.ornt_transform(_ornt(source), _ornt(target))
    return np.asarray(orientations.inv_ornt_aff(transform, shape))


def reorient_array(array: np.ndarray, source: str, target: str) -> np.ndarray:
    """Flip and permute the axes of a 3-D array from one axis code to another, without loss."""
    transform = orientations.ornt_transform(_ornt(source), _ornt(target))
    return np.asarray(orientations.apply_orientation(array, transform))


def reorient(volume: Volume, codes: str = "RAS") -> Volume:
    """The same volume with its array axes in another order; every voxel keeps its world place."""
    source = volume.orientation
    if source == codes:
        return volume
    data = np.ascontiguousarray(reorient_array(volume.data, source, codes))
    return replace(
        volume, data=data, affine=volume.affine @ reorientation(volume.shape, source, codes)
    )


def translation(offset: Sequence[float] | np.ndarray) -> np.ndarray:
    """4x4 matrix that adds `offset`."""
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return matrix


def window(volume: Volume, start: Shape, shape: Shape, fill: float = 0) -> Volume:
    """Crop and pad in one step: the box of `shape` whose first voxel is `start`, which may be < 0.

    Voxels outside the volume get `fill`; the affine moves with the box.
    """
    start, shape = np.asarray(start, int), np.asarray(shape, int)
    check_size(shape, volume.name)
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


def round_up(shape: Shape, multiple: int) -> np.ndarray:
    """Smallest multiples of `multiple` that are >= `shape`."""
    return -(-np.asarray(shape, int) // multiple) * multiple


def resample(
    volume: Volume, affine: np.ndarray, shape: Shape, order: int = 1, fill: float = 0.0
) -> Volume:
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
    data = scipy.ndimage.affine_transform(
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


def take_to_grid(labels: Volume, shape: Shape, affine: np.ndarray, image: str) -> Volume:
    """A label map on the grid of its image, where the two agree voxel for voxel or not.

    Parameters
    ----------
    labels : Volume
    shape, affine
        The grid of the image.
    image : str
        Its name, for messages.

    Returns
    -------
    Volume
        The same voxels where the grids are one, else the nearest label of each place in the world, and
        a note that says so.

    Raises
    ------
    InputError
        More than :data:`LOST` of the labelled volume lies outside the grid.
    """
    if labels.shape == tuple(shape) and np.allclose(labels.affine, affine, atol=SAME_MM):
        return replace(labels, affine=np.asarray(affine, float))
    moved = resample(labels, affine, shape, order=0)
    before, after = (
        np.count_nonzero(v.data) * abs(np.linalg.det(v.affine[:3, :3])) for v in (labels, moved)
    )
    if after < (1 - LOST) * before:
        raise InputError(
            f"{labels.name}: by their headers {1 - after / before:.0%} of the labelled volume lie outside "
            f"its image {image}; expected both in one place: correct the header of one of them"
        )
    note = (
        f"{labels.name}: another grid than {image}; taken there by the nearest voxel in the world"
    )
    return replace(moved, notes=(*labels.notes, note))


def rescale_grid(
    affine: np.ndarray, shape: Shape, spacing_mm: float | Sequence[float] | np.ndarray
) -> tuple[np.ndarray, tuple[int, ...]]:
    """The grid that covers the same box with voxels of another size (voxel faces aligned).

    Parameters
    ----------
    affine : ndarray (4, 4)
        Voxel index -> world, mm.
    shape : of three int
    spacing_mm : float or three of them

    Returns
    -------
    affine, shape

    Raises
    ------
    InputError
        The grid would have more voxels than memory holds.

    Examples
    --------
    >>> affine, shape = rescale_grid(np.eye(4), (10, 10, 10), 2.0)
    >>> shape, affine[:3, 3]
    ((5, 5, 5), array([0.5, 0.5, 0.5]))
    """
    old = np.linalg.norm(affine[:3, :3], axis=0)
    zoom = np.broadcast_to(np.asarray(spacing_mm, float), 3) / old
    new_shape = tuple(int(n) for n in np.maximum(1, np.ceil(np.asarray(shape) / zoom - 1e-6)))
    check_size(new_shape, f"a grid of {np.min(spacing_mm):g} mm")
    scale = np.diag([*zoom, 1.0])
    scale[:3, 3] = (zoom - 1) / 2  # centre of the first voxel, not its corner, starts the grid
    return affine @ scale, new_shape
