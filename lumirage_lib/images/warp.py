"""Displacement fields: the one convention of this library, conversions, composition, warping.

A *displacement* is float32 of shape (3, X, Y, Z), in voxels, in the order of the array axes, on the
grid of the fixed image: ``moved(x) = moving(x + displacement(x))``. It pulls: it says where in the
moving image to look. This is the convention of Learn2Reg and of scipy's ``map_coordinates``. Where
the moving array has a grid of its own, ``x + displacement(x)`` is an index into that array.
"""

from pathlib import Path

import nibabel as nib
import numpy as np
import scipy

from ..errors import InputError
from .reading import Shape, read_data, read_header
from .volumes import Volume, reorient, reorient_array, reorientation, save_nifti

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # RAS+ <-> LPS+, its own inverse
SIGNS = np.array([-1, -1, 1], np.float32).reshape(3, 1, 1, 1)  # of vectors, likewise
SLAB_VOXELS = 200_000  # voxels worked on at once: small enough for the cache


def check_displacement(
    displacement: np.ndarray, shape: Shape | None = None, where: str = "displacement"
) -> np.ndarray:
    """Return the field as float32, or say in one sentence why it is none.

    Raises
    ------
    InputError
        Not (3, X, Y, Z), not of `shape`, or with NaN or infinite values.
    """
    field = np.asarray(displacement)
    if field.ndim != 4 or field.shape[0] != 3:
        raise InputError(f"{where}: expected shape (3, X, Y, Z), got {field.shape}")
    if shape is not None and field.shape[1:] != tuple(shape):
        raise InputError(
            f"{where}: the field has grid {field.shape[1:]} but the fixed image {tuple(shape)}; "
            "resample it to the fixed grid first"
        )
    if field.dtype.kind not in "fiu":
        raise InputError(
            f"{where}: expected real components, got {field.dtype}; write the field again"
        )
    field = field.astype(np.float32, copy=False)
    if not np.isfinite(field).all():
        raise InputError(
            f"{where}: the field has NaN or infinite values; the registration diverged"
        )
    return field


def identity_grid(shape: Shape, dtype: type = np.float32) -> np.ndarray:
    """Voxel indices of every voxel, shape (3, X, Y, Z).

    Examples
    --------
    >>> identity_grid((2, 3, 4))[:, 1, 2, 3]
    array([1., 2., 3.], dtype=float32)
    """
    return np.stack(np.meshgrid(*(np.arange(n, dtype=dtype) for n in shape), indexing="ij"))


def apply_matrix(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a 4x4 matrix to points of shape (3, ...), in float32 for large arrays."""
    linear = matrix[:3, :3].astype(points.dtype)
    out = np.tensordot(linear, points, axes=1)
    out += matrix[:3, 3].astype(points.dtype).reshape(3, *[1] * (points.ndim - 1))
    return out


def sample(
    image: np.ndarray,
    coordinates: np.ndarray,
    order: int = 1,
    fill: float = 0.0,
    mode: str = "constant",
) -> np.ndarray:
    """Values of `image` at voxel coordinates of shape (3, ...)."""
    found: np.ndarray = scipy.ndimage.map_coordinates(
        image, coordinates, order=order, cval=fill, mode=mode, output=np.float32
    )
    return found


def warp_image(
    moving: np.ndarray, displacement: np.ndarray, order: int = 1, fill: float = 0.0
) -> np.ndarray:
    """Moved image on the fixed grid: ``moving(x + displacement(x))``.

    Parameters
    ----------
    moving : ndarray, shape (A, B, C)
    displacement : ndarray, shape (3, X, Y, Z)
        Voxels; see the module's convention.
    order : int
        Spline order, 1 = trilinear.
    fill : float
        Value outside the moving image.

    Returns
    -------
    ndarray of float32, shape (X, Y, Z)

    Examples
    --------
    One voxel to the right of every fixed voxel is where the moving image is looked up:

    >>> moving = np.arange(4.0).reshape(4, 1, 1)
    >>> right = np.zeros((3, 4, 1, 1), np.float32)
    >>> right[0] = 1
    >>> warp_image(moving, right, fill=-1).ravel()
    array([ 1.,  2.,  3., -1.], dtype=float32)
    """
    displacement = check_displacement(displacement)
    return sample(moving, identity_grid(displacement.shape[1:]) + displacement, order, fill)


def warp_labels(labels: np.ndarray, displacement: np.ndarray, rule: str = "nearest") -> np.ndarray:
    """Moved labels on the fixed grid, by one rule for every method.

    Parameters
    ----------
    labels : ndarray of int, shape (A, B, C)
    displacement : ndarray, shape (3, X, Y, Z)
    rule : {"nearest", "linear"}
        The label of the nearest voxel, or the label with the largest trilinear weight (one-hot,
        linear, argmax; ties go to the smallest label). Outside the array lies label 0.

    Returns
    -------
    ndarray of the labels' type, shape (X, Y, Z)

    Examples
    --------
    Half-way between 3 and 7 both have half the weight, and the smaller wins:

    >>> labels = np.array([3, 7]).reshape(2, 1, 1)
    >>> half = np.zeros((3, 2, 1, 1), np.float32)
    >>> half[0] = 0.5
    >>> warp_labels(labels, half, "linear").ravel(), warp_labels(labels, half).ravel()
    (array([3, 0]), array([7, 0]))
    """
    if rule not in ("nearest", "linear"):
        raise InputError(f"label rule {rule!r}: expected 'nearest' or 'linear'")
    displacement = check_displacement(displacement)
    # A border of background: what lies outside is moved onto it. np.pad keeps the order of axes in
    # memory, and nibabel's is Fortran's.
    padded = np.ascontiguousarray(np.pad(labels, (1, 2)))
    strides = np.array(padded.strides) // padded.itemsize
    last = np.array(labels.shape, np.float32).reshape(3, 1, 1, 1)
    flat = padded.ravel()
    differ = corners_differ(padded).ravel() if rule == "linear" else flat
    out = np.empty(displacement.shape[1:], labels.dtype)
    rows = max(1, SLAB_VOXELS // out[0].size)
    for start in range(0, len(out), rows):
        part = displacement[:, start : start + rows]
        points = identity_grid(part.shape[1:])
        points[0] += start
        points = points + part
        cell = np.floor(points + np.float32(0.5)) if rule == "nearest" else np.floor(points)
        index = sum(
            (c.astype(np.int32) + 1) * np.int32(s)
            for c, s in zip(np.clip(cell, -1, last), strides, strict=True)
        )
        found = flat[index]
        if rule == "linear":
            # Only where the eight corners differ is there anything to decide.
            mixed = differ[index] & (cell >= -1).all(axis=0)
            found[mixed] = vote(flat, index[mixed], (points - cell)[:, mixed], strides)
        out[start : start + rows] = found
    return out


def corners_differ(labels: np.ndarray) -> np.ndarray:
    """True at the lower corner of every cell whose eight corners do not all have one label."""
    low, high = labels.copy(), labels.copy()
    for axis in range(3):
        low, high = low.swapaxes(0, axis), high.swapaxes(0, axis)
        np.minimum(low[:-1], low[1:], out=low[:-1])
        np.maximum(high[:-1], high[1:], out=high[:-1])
        low, high = low.swapaxes(0, axis), high.swapaxes(0, axis)
    return np.asarray(low != high)


def vote(
    flat: np.ndarray, base: np.ndarray, fraction: np.ndarray, strides: np.ndarray
) -> np.ndarray:
    """Label of the largest trilinear weight in the cells at flat indices `base`."""
    corners = np.array(list(np.ndindex(2, 2, 2)))
    values = np.stack([flat[base + strides @ corner] for corner in corners])
    weights = np.stack([np.prod(np.where(c[:, None], fraction, 1 - fraction), 0) for c in corners])
    score = np.stack([(weights * (values == v)).sum(axis=0) for v in values])
    # Smallest label among those that reach the maximum (up to rounding of the sums).
    reached = score >= score.max(axis=0) - 1e-6
    return np.asarray(np.where(reached, values, np.iinfo(values.dtype).max).min(axis=0))


def compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """One displacement for two warps in a row: ``moving -> inner -> outer``.

    ``warp(warp(moving, inner), outer) == warp(moving, compose(outer, inner))`` but for the second
    interpolation, which this avoids. ``result(x) = outer(x) + inner(x + outer(x))``; beyond the edge
    of its grid `inner` keeps its edge value.

    Examples
    --------
    >>> outer, inner = np.zeros((2, 3, 4, 4, 4), np.float32)
    >>> outer[0], inner[2] = 1, -0.5
    >>> compose(outer, inner)[:, 2, 2, 2]
    array([ 1. ,  0. , -0.5], dtype=float32)
    """
    coordinates = identity_grid(outer.shape[1:]) + outer
    inner_there = np.stack([sample(c, coordinates, mode="nearest") for c in inner])
    return np.asarray(outer + inner_there)


def displacement_of_matrix(matrix: np.ndarray, shape: Shape) -> np.ndarray:
    """Displacement of a 4x4 voxel map (fixed index -> moving index) on a grid of `shape`."""
    # Axis by axis, and in float64: at index 200 float32 would round off more than a voxel's 1e-5.
    slopes, offsets = matrix[:3, :3] - np.eye(3), matrix[:3, 3]
    out = np.empty((3, *shape), np.float32)
    for component, slope, offset in zip(out, slopes, offsets, strict=True):
        x, y, z = (s * np.arange(n) for s, n in zip(slope, shape, strict=True))
        np.add((x[:, None] + (y + offset))[..., None], z, out=component, casting="same_kind")
    return out


def to_native(
    displacement: np.ndarray, to_fixed: np.ndarray, to_moving: np.ndarray, fixed_shape: Shape
) -> np.ndarray:
    """Carry a field from the grid a method worked on to the native fixed and moving arrays, once.

    Parameters
    ----------
    displacement : ndarray, shape (3, X, Y, Z)
        On the working grid, in its voxels.
    to_fixed, to_moving : ndarray, shape (4, 4)
        Working voxel index -> native index of the fixed and of the moving array (orientation, crop,
        resolution, and for the moving image also the affine registration).
    fixed_shape : tuple
        Shape of the native fixed array.

    Returns
    -------
    ndarray of float32, shape (3, *fixed_shape)
        ``to_moving(y + u(y)) - x`` with ``y = inverse(to_fixed) x``; beyond the working grid the
        field keeps its edge value.
    """
    from_fixed = np.linalg.inv(to_fixed)
    linear, offset = from_fixed[:3, :3], from_fixed[:3, 3]
    moved = np.stack(
        [
            scipy.ndimage.affine_transform(
                c, linear, offset, tuple(fixed_shape), np.float32, order=1, mode="nearest"
            )
            for c in check_displacement(displacement)
        ]
    )
    total = displacement_of_matrix(to_moving @ from_fixed, fixed_shape)
    total += np.tensordot(to_moving[:3, :3].astype(np.float32), moved, axes=1)
    return total


# ---- other people's conventions ------------------------------------------------------------------


def to_grid_sample(displacement: np.ndarray, moving_shape: Shape | None = None) -> np.ndarray:
    """Sampling grid of ``torch.nn.functional.grid_sample``, ``align_corners=True``.

    Returns shape (1, X, Y, Z, 3), in [-1, 1], last axis in torch's order (Z, Y, X).
    """
    coordinates = identity_grid(displacement.shape[1:]) + displacement
    size = np.array(moving_shape or displacement.shape[1:], np.float32).reshape(3, 1, 1, 1)
    unit = 2 * coordinates / (size - 1) - 1
    return np.moveaxis(unit[::-1], 0, -1)[None]


def from_grid_sample(grid: np.ndarray, moving_shape: Shape | None = None) -> np.ndarray:
    """Inverse of :func:`to_grid_sample`."""
    unit = np.moveaxis(np.asarray(grid, np.float32)[0], -1, 0)[::-1]
    size = np.array(moving_shape or unit.shape[1:], np.float32).reshape(3, 1, 1, 1)
    return np.asarray((unit + 1) * (size - 1) / 2 - identity_grid(unit.shape[1:]))


def to_fireants(displacement: np.ndarray, moving_shape: Shape | None = None) -> np.ndarray:
    """Warped coordinates as FireANTs returns them: shape (1, Z, Y, X, 3), last axis (x, y, z).

    Its arrays come from SimpleITK, so they are the transpose of ours.
    """
    return np.transpose(to_grid_sample(displacement, moving_shape), (0, 3, 2, 1, 4))[..., ::-1]


def from_fireants(grid: np.ndarray, moving_shape: Shape | None = None) -> np.ndarray:
    """Inverse of :func:`to_fireants`."""
    return from_grid_sample(np.transpose(grid, (0, 3, 2, 1, 4))[..., ::-1], moving_shape)


def to_world(
    displacement: np.ndarray, fixed_affine: np.ndarray, moving_affine: np.ndarray | None = None
) -> np.ndarray:
    """Displacement in world millimetres (RAS+), shape (3, X, Y, Z), on the fixed grid."""
    moving_affine = fixed_affine if moving_affine is None else moving_affine
    grid = identity_grid(displacement.shape[1:], np.float64)
    there = apply_matrix(np.asarray(moving_affine, float), grid + displacement)
    return np.asarray(there - apply_matrix(np.asarray(fixed_affine, float), grid), np.float32)


def from_world(
    field_mm: np.ndarray, fixed_affine: np.ndarray, moving_affine: np.ndarray | None = None
) -> np.ndarray:
    """Inverse of :func:`to_world`."""
    moving_affine = fixed_affine if moving_affine is None else moving_affine
    grid = identity_grid(field_mm.shape[1:], np.float64)
    there = apply_matrix(np.asarray(fixed_affine, float), grid) + field_mm
    return np.asarray(apply_matrix(np.linalg.inv(moving_affine), there) - grid, np.float32)


def to_itk(
    displacement: np.ndarray, fixed_affine: np.ndarray, moving_affine: np.ndarray | None = None
) -> np.ndarray:
    """Field as ITK and ANTs store it: shape (X, Y, Z, 3), millimetres, LPS+.

    Pulls like ours: the vector at a fixed point leads to the moving point.

    Examples
    --------
    >>> shift = np.zeros((3, 2, 2, 2), np.float32)
    >>> shift[:] = np.reshape([1, 2, 3], (3, 1, 1, 1))  # voxels of 2 mm in RAS
    >>> to_itk(shift, np.diag([2.0, 2, 2, 1]))[0, 0, 0]
    array([-2., -4.,  6.], dtype=float32)
    """
    field = to_world(displacement, fixed_affine, moving_affine)
    return np.moveaxis(field * SIGNS, 0, -1)


def from_itk(
    field_lps_mm: np.ndarray, fixed_affine: np.ndarray, moving_affine: np.ndarray | None = None
) -> np.ndarray:
    """Inverse of :func:`to_itk`; takes (X, Y, Z, 3) or NIfTI's (X, Y, Z, 1, 3)."""
    field = np.asarray(field_lps_mm, np.float32)
    if field.ndim == 5 and field.shape[3] == 1:
        field = field[:, :, :, 0]
    if field.ndim != 4 or field.shape[-1] != 3:
        raise InputError(f"ITK field: expected shape (X, Y, Z, 3), got {field.shape}")
    field = np.moveaxis(field, -1, 0) * SIGNS
    return from_world(field, fixed_affine, moving_affine)


def to_stored(displacement: np.ndarray, fixed: Volume, moving: Volume) -> np.ndarray:
    """A displacement between arrays turned to RAS as one between the arrays that two files hold.

    Parameters
    ----------
    displacement : ndarray, shape (3, X, Y, Z)
        On the grid of `fixed` turned to RAS, leading to indices of `moving` turned to RAS.
    fixed, moving : Volume
        As stored, in any orientation.

    Returns
    -------
    ndarray of float32, shape (3, *fixed.shape)
        ``stored_moving(x + result(x))`` is the moved image with the axes of the stored fixed array.
    """
    there = identity_grid(displacement.shape[1:], np.float64) + displacement
    turned = np.stack([reorient_array(c, "RAS", fixed.orientation) for c in there])
    stored = apply_matrix(reorientation(moving.shape, moving.orientation, "RAS"), turned)
    return np.asarray(stored - identity_grid(stored.shape[1:], np.float64), np.float32)


def reorient_displacement(displacement: np.ndarray, source: str, target: str) -> np.ndarray:
    """The same warp with both arrays reoriented from one axis code to another.

    Both images must share the grid; components are permuted and change sign with their axes.

    Examples
    --------
    >>> shift = np.zeros((3, 2, 3, 4), np.float32)
    >>> shift[:] = np.reshape([1, 2, 3], (3, 1, 1, 1))
    >>> turned = reorient_displacement(shift, "RAS", "LIA")
    >>> turned.shape, turned[:, 0, 0, 0]
    ((3, 2, 4, 3), array([-1., -3.,  2.], dtype=float32))
    """
    shape = displacement.shape[1:]
    back = np.linalg.inv(reorientation(shape, source, target))[:3, :3].astype(np.float32)
    turned = np.stack([reorient_array(c, source, target) for c in displacement])
    return np.tensordot(back, turned, axes=1)


def save_displacement(displacement: np.ndarray, affine: np.ndarray, path: str | Path) -> Path:
    """Write a Learn2Reg file (``disp_FIXED_MOVING.nii.gz``): shape (X, Y, Z, 3), float32, voxels.

    The components are indices into the arrays as stored in the fixed and moving files.
    """
    field = np.moveaxis(check_displacement(displacement), 0, -1)
    return save_nifti(nib.Nifti1Image(np.ascontiguousarray(field), affine), path)


def save_itk(
    displacement: np.ndarray, fixed: Volume, moving_affine: np.ndarray, path: str | Path
) -> Path:
    """Write a field that ANTs, ITK and Slicer apply as it is: ``antsApplyTransforms -t FILE``.

    Parameters
    ----------
    displacement : ndarray, shape (3, X, Y, Z)
        On the grid of `fixed` turned to RAS, leading to indices of the moving array turned to RAS.
    fixed : Volume
        As stored: the file has its grid and axes.
    moving_affine : ndarray (4, 4)
        Of the moving array turned to RAS.
    path : path
        Shape (X, Y, Z, 1, 3) is written, millimetres in LPS+, with the intent of vectors.
    """
    field = to_itk(check_displacement(displacement), reorient(fixed).affine, moving_affine)
    stored = [reorient_array(c, "RAS", fixed.orientation) for c in np.moveaxis(field, -1, 0)]
    image = nib.Nifti1Image(np.stack(stored, axis=-1)[:, :, :, None], fixed.affine)
    image.header.set_intent("vector")
    return save_nifti(image, path)


def load_displacement(path: str | Path, shape: Shape | None = None) -> np.ndarray:
    """Read a Learn2Reg file of shape (X, Y, Z, 3) or (3, X, Y, Z), float16 or float32.

    Raises
    ------
    InputError
        Missing, truncated, of another shape, or not finite; the message names the file.
    """
    header = read_header(path, assume="RAS")  # its components are indices; the world has no say
    field = read_data(path, header)
    if field.ndim == 4 and field.shape[0] != 3 and field.shape[-1] == 3:
        field = np.moveaxis(field, -1, 0)
    return check_displacement(np.ascontiguousarray(field), shape, str(path))
