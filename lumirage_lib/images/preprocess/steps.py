"""The steps of the standard preprocessing, and others of its kind: small pure functions."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import scipy

from ...errors import InputError
from ..linear import from_ants, to_ants
from ..volumes import Volume, bounding_box, rescale_grid, round_up
from .state import PairImages, pair_window

DATA = Path(__file__).parents[2] / "data"

# ---- steps on one image: Volume -> Volume --------------------------------------------------------


def minmax(volume: Volume) -> Volume:
    """Scale linearly to [0, 1], minimum to maximum of the whole volume."""
    data = volume.data.astype(np.float32)
    low, high = float(data.min()), float(data.max())
    if high <= low:
        raise InputError(f"{volume.name}: every voxel is {low:g}; there is nothing to register")
    return replace(volume, data=(data - low) / np.float32(high - low))


def robust(volume: Volume, high: float = 99.9) -> Volume:
    """Divide by a high percentile of the foreground (> 0) and clip to [0, 1]; 0 stays 0.

    Unlike "minmax" it does not let a few bright voxels decide how bright the brain is: among the
    OASIS scans the maximum lies anywhere between 1.1 and 2.3 times the 99th percentile.
    """
    top = _foreground_percentile(volume, high)
    return replace(volume, data=np.clip(volume.data / np.float32(top), 0, 1).astype(np.float32))


def _foreground_percentile(volume: Volume, q: float | list[float]) -> np.ndarray:
    foreground = volume.data[volume.data > 0]
    if foreground.size == 0:
        raise InputError(f"{volume.name}: no voxel above 0; the image is empty")
    return np.asarray(np.percentile(foreground, q))


def percentile(volume: Volume, low: float = 1.0, high: float = 99.0) -> Volume:
    """Clip at two percentiles of the foreground (> 0) and scale to [0, 1]."""
    bottom, top = _foreground_percentile(volume, [low, high])
    scaled = (volume.data.astype(np.float32) - bottom) / max(top - bottom, 1e-12)
    return replace(volume, data=np.where(volume.data > 0, np.clip(scaled, 0, 1), 0).astype("f4"))


def like_t1w(volume: Volume, n_levels: int = 101) -> Volume:
    """Foreground (> 0) given the distribution of a T1w brain, quantile by quantile, in [0, 1].

    Equal intensities stay equal and their order stays: T2w keeps its dark white matter, and has no more
    of it, nor darker, than T1w has of its darkest. The distribution is the mean over the training scans
    of OASIS after "robust" (`benchmarks/intensity.py`).
    """
    levels = pd.read_csv(DATA / "t1w_levels.csv")["intensity"].to_numpy()
    if len(levels) != n_levels:
        raise InputError(f"like_t1w: {n_levels} levels asked for, the table has {len(levels)}")
    have = _foreground_percentile(volume, np.linspace(0, 100, n_levels).tolist())
    inside = volume.data > 0
    out = np.zeros(volume.data.shape, np.float32)
    out[inside] = np.interp(volume.data[inside], have, levels)
    return replace(volume, data=out)


def bias_field(volume: Volume, shrink: int = 4) -> Volume:
    """Correct intensity inhomogeneity by N4 (Tustison et al. 2010), antspyx."""
    import ants

    image = to_ants(volume.data, volume.affine)
    mask = to_ants((volume.data > 0).astype(np.float32), volume.affine)
    corrected = ants.n4_bias_field_correction(image, mask, shrink_factor=shrink)
    return replace(volume, data=from_ants(corrected))


IMAGE_STEPS: dict[str, Callable[..., Volume]] = {
    "robust": robust,
    "minmax": minmax,
    "percentile": percentile,
    "like_t1w": like_t1w,
    "bias_field": bias_field,
}


# ---- steps on the pair: PairImages -> PairImages -------------------------------------------------


def crop(pair: PairImages, margin_mm: float = 4.0) -> PairImages:
    """Cut (or pad) to the box around both brains (> 0) plus a margin."""
    margin = int(np.ceil(margin_mm / pair.spacing_mm.min()))
    start, shape = bounding_box((pair.fixed > 0) | (pair.moving > 0), margin)
    return pair_window(pair, start, shape)


def pad_to_multiple(pair: PairImages, multiple: int) -> PairImages:
    """Pad evenly with zeros until each side is a multiple."""
    shape = round_up(pair.fixed.shape, multiple)
    return pair_window(pair, (np.array(pair.fixed.shape) - shape) // 2, shape)


def set_spacing(pair: PairImages, spacing_mm: float) -> PairImages:
    """Resample both images to isotropic voxels, smoothed first where that means fewer voxels."""
    affine, shape = rescale_grid(pair.affine, pair.fixed.shape, spacing_mm)
    to_old = np.linalg.inv(pair.affine) @ affine
    zoom = spacing_mm / pair.spacing_mm
    # As wide at half maximum as a new voxel, less the old one in quadrature: what the coarser grid can hold.
    sigma = np.where(zoom > 1, np.sqrt(np.maximum(zoom**2 - 1, 0)) / 2.355, 0)

    def coarser(image: np.ndarray) -> np.ndarray:
        smooth = scipy.ndimage.gaussian_filter(image, sigma) if sigma.any() else image
        found: np.ndarray = scipy.ndimage.affine_transform(
            smooth, to_old[:3, :3], to_old[:3, 3], shape, np.float32, order=1, mode="nearest"
        )
        return found

    return PairImages(
        coarser(pair.fixed),
        coarser(pair.moving),
        affine,
        pair.to_fixed @ to_old,
        pair.to_moving @ to_old,
        pair.final,
    )


PAIR_STEPS: dict[str, Callable[..., PairImages]] = {
    "crop": crop,
    "pad_to_multiple": pad_to_multiple,
    "set_spacing": set_spacing,
}
