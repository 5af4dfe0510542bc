"""Errors of the mapping itself: at landmarks, against the truth, and against its inverse."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import scipy

from ..errors import InputError
from ..images.warp import check_displacement
from ._checks import check_labels, check_mask, check_spacing, to_codes, to_label_list


def compute_tre(
    displacement: np.ndarray,
    fixed_points: np.ndarray,
    moving_points: np.ndarray,
    spacing_mm: Iterable[float],
    order: int = 1,
) -> np.ndarray:
    """Target registration error of corresponding points, in mm.

    ``|x + u(x) - y|`` with x a point of the fixed image, y its counterpart in the moving image and
    u the displacement, interpolated at x. The displacement leads from fixed to moving, so fixed
    points are carried over to the moving image and errors are lengths there.

    Parameters
    ----------
    displacement : (3, X, Y, Z) float array
        Voxels, on the fixed grid.
    fixed_points, moving_points : (n, 3) float arrays
        Row by row the same landmark, as array indices (fractions allowed) in either image.
    spacing_mm : three floats
        Voxel size of the moving grid.
    order : int
        Spline order of the interpolation of u: 1 linear, 3 as in the Learn2Reg scripts.

    Returns
    -------
    (n,) float array
        NaN where a coordinate is NaN or the fixed point lies outside the grid.

    Raises
    ------
    InputError
        If the points are not two (n, 3) arrays or the displacement is not finite.
    """
    displacement = check_displacement(displacement)
    fixed_points, moving_points = (np.asarray(p, float) for p in (fixed_points, moving_points))
    if fixed_points.ndim != 2 or fixed_points.shape[1] != 3:
        raise InputError(f"fixed_points: expected shape (n, 3), got {fixed_points.shape}.")
    if fixed_points.shape != moving_points.shape:
        raise InputError(
            f"moving_points: expected one point for each of the fixed ones, shape "
            f"{fixed_points.shape}, got {moving_points.shape}."
        )
    carried = fixed_points + _sample(displacement, fixed_points.T, order).T
    return np.asarray(np.linalg.norm((carried - moving_points) * check_spacing(spacing_mm), axis=1))


def find_centroids(labels: np.ndarray, which: Iterable[int]) -> np.ndarray:
    """Mean array index of the voxels of each label, shape (n, 3); NaN for an absent label."""
    values, (codes,) = to_codes(check_labels(labels, "labels"))
    where = np.nonzero(np.isin(codes, np.flatnonzero(np.isin(values, to_label_list(which)))))
    found = codes[where]
    count = np.bincount(found, minlength=len(values))
    sums = np.stack([np.bincount(found, axis, len(values)) for axis in where], axis=1)
    with np.errstate(invalid="ignore"):
        centroids = pd.DataFrame(sums / count[:, None], index=values)
    return np.asarray(centroids.reindex(to_label_list(which)).to_numpy())


def compute_centroid_tre(
    fixed_labels: np.ndarray,
    moving_labels: np.ndarray,
    displacement: np.ndarray,
    labels: Iterable[int],
    spacing_mm: Iterable[float],
) -> pd.Series:
    """Target registration error of label centroids, in mm.

    Centroids are found in either image before warping and then treated as points: see
    `compute_tre`. The centroid of a *warped* label is something else, it moves with the
    rounding of the nearest-neighbour warp and is undefined once the label is lost.

    Parameters
    ----------
    fixed_labels : (X, Y, Z) integer array
    moving_labels : integer array, on its own grid
    displacement : (3, X, Y, Z) float array, voxels
    labels : iterable of int
    spacing_mm : three floats
        Voxel size of the moving grid.

    Returns
    -------
    Series of float indexed by label, named `tre_mm`
        NaN where either image lacks the label.
    """
    labels = to_label_list(labels)
    points = find_centroids(fixed_labels, labels), find_centroids(moving_labels, labels)
    tre = compute_tre(displacement, *points, spacing_mm)
    return pd.Series(tre, index=pd.Index(labels, name="label", dtype=np.int64), name="tre_mm")


def compute_inverse_consistency(
    forward: np.ndarray, backward: np.ndarray, mask: np.ndarray, spacing_mm: Iterable[float]
) -> dict[str, float]:
    """How far a point lands from itself after the mapping and the mapping back, in mm.

    ``|u(x) + v(x + u(x))|`` with u the forward and v the backward displacement (Christensen &
    Johnson 2001, doi:10.1109/42.932742), v interpolated linearly.

    Parameters
    ----------
    forward : (3, X, Y, Z) float array
        Voxels, from the fixed grid to the moving one.
    backward : (3, A, B, C) float array
        Voxels, from the moving grid back to the fixed one.
    mask : (X, Y, Z) array, above zero inside
    spacing_mm : three floats
        Voxel size of the fixed grid.

    Returns
    -------
    dict
        ice_mean_mm, ice_median_mm, ice_p95_mm, ice_max_mm over the points that stay inside the
        moving grid, and ice_outside_fraction, the fraction of the mask that does not.

    Raises
    ------
    InputError
        If shapes disagree, a displacement is not finite or the mask is empty.
    """
    forward, backward = check_displacement(forward), check_displacement(backward, where="backward")
    mask = _check_filled(mask, forward.shape[1:])
    step = forward[:, mask]
    error = step + _sample(backward, np.stack(np.nonzero(mask)) + step)
    inside = np.isfinite(error[0])
    measures = _summarise(error[:, inside], spacing_mm, "ice")
    return {**measures, "ice_outside_fraction": float(1 - inside.mean())}


def _sample(displacement: np.ndarray, points: np.ndarray, order: int = 1) -> np.ndarray:
    """The displacement at points of shape (3, n); NaN outside the grid."""
    return np.stack(
        [
            scipy.ndimage.map_coordinates(component, points, np.float64, order, cval=np.nan)
            for component in displacement
        ]
    )


def _check_filled(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    mask = check_mask(mask, shape)
    if not mask.any():
        raise InputError("mask: expected at least one voxel inside, got none.")
    return mask


def _summarise(error: np.ndarray, spacing_mm: Iterable[float], name: str) -> dict[str, float]:
    length = np.linalg.norm(error * np.reshape(check_spacing(spacing_mm), (3, 1)), axis=0)
    if not length.size:
        length = np.array([np.nan])
    return {
        f"{name}_mean_mm": float(length.mean()),
        f"{name}_median_mm": float(np.median(length)),
        f"{name}_p95_mm": float(np.percentile(length, 95)),
        f"{name}_max_mm": float(length.max()),
    }
