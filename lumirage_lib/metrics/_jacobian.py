"""How a transformation folds: the ten determinants of the digital diffeomorphism."""

from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np
import pandas as pd
import scipy

from ..errors import InputError
from ..images.warp import check_displacement
from ._checks import check_mask, to_codes, to_label_list

LOG_FLOOR = 1e-9  # determinants are clipped from below to this before the logarithm
INNER = (slice(1, -1),) * 3  # the voxels that have both neighbours on every axis
SLAB_VOXELS = 100_000  # voxels worked on at once: small enough for the cache

# Back and forth along each axis.
STEPS = ((-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1))
# The two central tetrahedra of a voxel's cube have edges to three diagonal neighbours.
DIAGONALS = ((-1, -1, 0), (-1, 0, -1), (0, -1, -1), (1, 1, 0), (0, 1, 1), (1, 0, 1))

Vector = np.ndarray | tuple[np.ndarray, ...]  # three components


def compute_field_measures(displacement: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Folding and regularity of x -> x + displacement(x) inside a mask.

    Follows Liu et al., "On finite difference Jacobian computation in deformable image
    registration", IJCV 2024 (arXiv 2212.06060). A central-difference determinant can be
    positive where the transformation folds. A transformation is digitally diffeomorphic at a
    voxel only if ten determinants are positive: the eight of forward and backward differences
    and two of diagonal ones (J*1, J*2), each six times the signed volume of a tetrahedron.
    The cube is divided in two ways, so every volume counts half.

    Parameters
    ----------
    displacement : (3, X, Y, Z) float array
        Voxels. Differences are taken in float32.
    mask : (X, Y, Z) array
        Where to measure, above zero inside; for comparisons, the mask of the fixed image, as
        the displacement lives on its grid. The outermost voxels, which lack neighbours, are
        left out.

    Returns
    -------
    dict
        n_mask
            Voxels measured.
        ndv_voxels, ndv_percent
            Non-diffeomorphic volume, sum of ``-min(|J|, 0) / 12`` over the ten determinants, in
            voxels and as a percentage of the mask.
        nonpositive_tetrahedra, nonpositive_tetrahedra_fraction
            Determinants <= 0, each counted a tenth, and the same as a fraction of the mask.
        nonpositive_fraction
            Fraction of voxels whose central-difference determinant is <= 0.
        sd_log_j
            Standard deviation of ``log |J|`` (central differences). Determinants are clipped from
            below to 1e-9, so every fold counts as ``log |J| = -20.7`` and a few raise it a lot.
        sd_log_j_positive
            The same over the voxels that do not fold; NaN if all do.

    Raises
    ------
    InputError
        If shapes disagree, the displacement is not finite or no voxel of the mask is interior.
    """
    return measure_field(displacement, mask)[0]


def measure_field(
    displacement: np.ndarray, mask: np.ndarray
) -> tuple[dict[str, float], np.ndarray]:
    """`compute_field_measures`, and the central-difference determinants that they are made of.

    The determinants are those of the voxels of the mask off the border, in the order of the array.
    """
    displacement = check_displacement(displacement)
    mask = check_mask(mask, displacement.shape[1:])[INNER]
    if not mask.any():
        raise InputError("mask: expected at least one voxel off the border of the grid, got none.")
    folded_volume, folded_count, slabs = 0.0, 0, []
    for block, at in _cut(displacement, mask):
        edges = _edges(block, at, STEPS + DIAGONALS)
        for determinant in _tetrahedra(edges):
            folds = determinant[determinant <= 0]
            folded_count += folds.size
            folded_volume -= float(folds.sum(dtype=np.float64))
        slabs.append(_central(edges[:6]))
    central = np.concatenate(slabs)
    n_mask, folds = central.size, central <= 0
    log_j = _log(central)
    unfolded = log_j[~folds] if folds.any() else log_j
    measures = {
        "n_mask": n_mask,
        "ndv_voxels": folded_volume / 12,
        "ndv_percent": 100 * folded_volume / 12 / n_mask,
        "nonpositive_tetrahedra": folded_count / 10,
        "nonpositive_tetrahedra_fraction": folded_count / 10 / n_mask,
        "nonpositive_fraction": float(folds.mean()),
        "sd_log_j": float(log_j.std()),
        "sd_log_j_positive": float(unfolded.std()) if unfolded.size else np.nan,
    }
    return measures, central


def group_jacobian(
    jacobian: np.ndarray, mask: np.ndarray, label_map: np.ndarray, labels: Iterable[int]
) -> pd.DataFrame:
    """The determinants of `measure_field` structure by structure.

    Parameters
    ----------
    jacobian : (n,) array
        As `measure_field` returns it for the mask.
    mask : (X, Y, Z) bool array
    label_map : (X, Y, Z) integer or bool array
    labels : iterable of int

    Returns
    -------
    DataFrame indexed by label
        j_mean, log_j_mean, log_j_sd over the voxels of the label inside the mask and off the
        border; NaN where there are none.
    """
    labels = to_label_list(labels)
    values, (codes,) = to_codes(label_map[INNER][mask[INNER]])
    log_j = _log(jacobian)
    with np.errstate(invalid="ignore"):
        count = np.bincount(codes, minlength=len(values))
        j_mean, log_mean = (np.bincount(codes, v, len(values)) / count for v in (jacobian, log_j))
        deviation = (log_j - log_mean[codes]) ** 2
        variance = np.bincount(codes, deviation, len(values)) / count
    columns = {"j_mean": j_mean, "log_j_mean": log_mean, "log_j_sd": np.sqrt(variance)}
    return pd.DataFrame(columns, index=values).reindex(pd.Index(labels, name="label"))


def _log(jacobian: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(np.maximum(jacobian, LOG_FLOOR), dtype=np.float64))


def compute_jacobian_determinant(displacement: np.ndarray) -> np.ndarray:
    """Central-difference Jacobian determinant of x -> x + displacement(x).

    Parameters
    ----------
    displacement : (3, X, Y, Z) float array, voxels

    Returns
    -------
    (X - 2, Y - 2, Z - 2) float32 array
        At the voxels that have both neighbours on every axis: element (0, 0, 0) belongs to
        voxel (1, 1, 1). Below 1 the transformation shrinks, at or below 0 it folds.
    """
    displacement = check_displacement(displacement)
    shape = tuple(n - 2 for n in displacement.shape[1:])
    slabs = [
        _central(_edges(block, at, STEPS)) for block, at in _cut(displacement, np.ones(shape, bool))
    ]
    return np.asarray(np.concatenate(slabs).reshape(shape))


def _cut(displacement: np.ndarray, mask: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Slabs of the mask's bounding box with a margin of one: float32 displacement, flat indices.

    `mask` is that of the interior; the indices lead to its voxels in each component of the slab.
    """
    box = scipy.ndimage.find_objects(mask.astype(np.uint8))[0]
    mask = mask[box]
    displacement = displacement[:, *(slice(s.start, s.stop + 2) for s in box)]
    rows = max(1, SLAB_VOXELS // mask[0].size)
    for start in range(0, len(mask), rows):
        block = displacement[:, start : start + rows + 2].astype(np.float32, order="C")
        yield block, np.flatnonzero(np.pad(mask[start : start + rows], 1))


def _edges(
    block: np.ndarray, at: np.ndarray, offsets: Iterable[tuple[int, ...]]
) -> list[np.ndarray]:
    """Where each step `offset` from the voxels `at` leads after the transformation, (3, n) each."""
    flat = block.reshape(3, -1)
    strides = (block[0, 0].size, block.shape[3], 1)
    here = flat.take(at, axis=1, mode="clip")
    edges = []
    for offset in offsets:
        edge = flat.take(at + int(np.dot(offset, strides)), axis=1, mode="clip")
        edge -= here
        for component, o in zip(edge, offset, strict=True):
            if o:
                component += np.float32(o)
        edges.append(edge)
    return edges


def _tetrahedra(edges: list[np.ndarray]) -> Iterator[np.ndarray]:
    """The ten determinants of the digital diffeomorphism, one array after another."""
    for (j, y), (k, z) in product(enumerate(edges[2:4]), enumerate(edges[4:6])):
        normal = _cross(y, z)
        for i, x in enumerate(edges[:2]):
            # A backward difference is the step back, turned round: each turns the sign.
            yield _dot(x, normal) if (i + j + k) % 2 else -_dot(x, normal)
    yield _determinant(*edges[6:9])
    yield _determinant(*edges[9:])


def _central(steps: list[np.ndarray]) -> np.ndarray:
    """Determinant of the central differences, from the steps back and forth along each axis."""
    x, y, z = ((there - back) / 2 for back, there in zip(steps[::2], steps[1::2], strict=True))
    return _determinant(x, y, z)


def _determinant(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    return _dot(a, _cross(b, c))


def _cross(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(a[i] * b[j] - a[j] * b[i] for i, j in ((1, 2), (2, 0), (0, 1)))


def _dot(a: Vector, b: Vector) -> np.ndarray:
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])
