"""What can go wrong before a registration: one step each, on the pair.

A step changes the two images a method is given, never the labels: the way back to the native arrays is
kept, so whatever was done is undone in the field and scored on the untouched native grid. Random draws
come from a step's arguments and the shape alone.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import scipy

from ...errors import InputError
from ..volumes import bounding_box, reorient_array, reorientation, translation
from .state import PairImages, pair_window

IMAGES = {"both": ("fixed", "moving"), "fixed": ("fixed",), "moving": ("moving",)}

# ---- where the brain lies, and what the header says of it ----------------------------------------


def turn(pair: PairImages, codes: str) -> PairImages:
    """Turn both arrays from RAS to other axis codes while the matrix goes on saying RAS.

    A method that treats all axes and directions alike loses nothing: its field is turned back.
    """
    matrix = reorientation(pair.fixed.shape, "RAS", codes)
    spacing_mm = pair.spacing_mm @ np.abs(matrix[:3, :3])
    affine = pair.affine.copy()
    affine[:3, :3] = affine[:3, :3] / pair.spacing_mm * spacing_mm
    fixed, moving = (
        np.ascontiguousarray(reorient_array(image, "RAS", codes))
        for image in (pair.fixed, pair.moving)
    )
    ways = (pair.to_fixed @ matrix, pair.to_moving @ matrix)
    return PairImages(fixed, moving, affine, *ways, pair.final)


def mis_space(pair: PairImages, factor: float, axis: int = 2) -> PairImages:
    """Header that is wrong by a factor in the voxel size along one axis, of both images."""
    scale = np.eye(4)
    scale[axis, axis] = factor
    return replace(pair, affine=pair.affine @ scale)


def push(pair: PairImages, shift_mm: float, axis: int = 1) -> PairImages:
    """Move the moving image along an axis by whole voxels, as a failed alignment leaves it."""
    start = np.zeros(3, int)
    start[axis] = -round(shift_mm / pair.spacing_mm[axis])
    moved = pair_window(pair, start, pair.moving.shape)
    return replace(
        pair, moving=moved.moving, to_moving=pair.to_moving @ translation(start.astype(float))
    )


def off_centre(pair: PairImages, shift_mm: float) -> PairImages:
    """Empty space on one side of each axis: both brains lie that far from the middle of the grid."""
    start = -2 * np.round(shift_mm / pair.spacing_mm).astype(int)
    return pair_window(pair, start, np.array(pair.fixed.shape) - start)


def cut_above(pair: PairImages, fraction: float) -> PairImages:
    """Field of view that misses the uppermost part of the moving brain, a fraction of its height."""
    start, shape = bounding_box(pair.moving > 0)
    moving = pair.moving.copy()
    moving[:, :, round(start[2] + (1 - fraction) * shape[2]) :] = 0
    return replace(pair, moving=moving)


# ---- intensities ---------------------------------------------------------------------------------


def as_is(pair: PairImages) -> PairImages:
    """Intensities stay as they are: the scaling that a network declares is left out."""
    return replace(pair, final=True)


def zscore(pair: PairImages) -> PairImages:
    """Foreground (> 0) of each image to mean 0 and standard deviation 1; air stays 0, as final."""

    def scale(image: np.ndarray) -> np.ndarray:
        inside = image > 0
        values = image[inside]
        out = np.zeros_like(image)
        out[inside] = (values - values.mean()) / max(float(values.std()), 1e-12)
        return out

    return replace(pair, fixed=scale(pair.fixed), moving=scale(pair.moving), final=True)


def match_histogram(pair: PairImages, n_quantiles: int = 256) -> PairImages:
    """Moving foreground given the distribution of the fixed one, quantile by quantile."""
    q = np.linspace(0, 1, n_quantiles)
    have, want = (np.quantile(image[image > 0], q) for image in (pair.moving, pair.fixed))
    matched = np.where(pair.moving > 0, np.interp(pair.moving, have, want), 0)
    return replace(pair, moving=matched.astype(np.float32))


def _each(change: Callable[..., np.ndarray]) -> Callable[..., PairImages]:
    """Step that applies ``change(image, draw, **arguments)`` to the images named by `image`."""

    def apply(pair: PairImages, image: str = "both", **arguments: Any) -> PairImages:
        if image not in IMAGES:
            raise InputError(f"image {image!r}: expected one of {', '.join(IMAGES)}")
        seed = arguments.pop("seed", 0)
        changed: dict[str, Any] = {}
        for number, name in enumerate(("fixed", "moving")):
            if name in IMAGES[image]:
                rng = np.random.default_rng([seed, number])
                value = change(getattr(pair, name), rng, pair.spacing_mm, **arguments)
                changed[name] = value.astype(np.float32)
        return replace(pair, **changed)

    apply.__doc__ = change.__doc__
    return apply


@_each
def shade(
    image: np.ndarray, rng: np.random.Generator, spacing_mm: np.ndarray, strength: float
) -> np.ndarray:
    """Smooth multiplicative bias, log-normal with that standard deviation, another per image."""
    zoom = [n / 4 for n in image.shape]
    smooth = scipy.ndimage.zoom(
        rng.standard_normal((4, 4, 4)), zoom, order=3, grid_mode=True, mode="nearest"
    )
    smooth = smooth[tuple(slice(n) for n in image.shape)]
    return np.asarray(image * np.exp(strength * (smooth - smooth.mean()) / smooth.std()))


@_each
def gamma(
    image: np.ndarray, rng: np.random.Generator, spacing_mm: np.ndarray, exponent: float
) -> np.ndarray:
    """Intensities over their maximum to a power."""
    top = float(image.max())
    return top * (image / top) ** exponent


@_each
def remap(
    image: np.ndarray, rng: np.random.Generator, spacing_mm: np.ndarray, values: tuple[float, ...]
) -> np.ndarray:
    """Intensities of [0, 1] through a map given at evenly spaced knots; air stays 0."""
    mapped = np.interp(image, np.linspace(0, 1, len(values)), values)
    return np.where(image > 0, mapped, 0)


@_each
def quantise(
    image: np.ndarray, rng: np.random.Generator, spacing_mm: np.ndarray, levels: int
) -> np.ndarray:
    """Round to so many grey levels between 0 and the maximum."""
    top = float(image.max())
    return np.round(image / top * (levels - 1)) / (levels - 1) * top


# ---- quality of the scan, and of the mask --------------------------------------------------------


@_each
def add_noise(
    image: np.ndarray, rng: np.random.Generator, spacing_mm: np.ndarray, sigma: float
) -> np.ndarray:
    """Rician noise inside the brain, sigma a share of the 99th percentile of the foreground."""
    sigma = sigma * np.percentile(image[image > 0], 99)
    noise = rng.normal(0, sigma, (2, *image.shape))
    return np.where(image > 0, np.hypot(image + noise[0], noise[1]), 0)


@_each
def blur(
    image: np.ndarray, rng: np.random.Generator, spacing_mm: np.ndarray, fwhm_mm: float
) -> np.ndarray:
    """Gaussian smoothing."""
    return np.asarray(scipy.ndimage.gaussian_filter(image, fwhm_mm / 2.355 / spacing_mm))


@_each
def thicken(
    image: np.ndarray,
    rng: np.random.Generator,
    spacing_mm: np.ndarray,
    slice_mm: float,
    axis: int = 2,
) -> np.ndarray:
    """Thick slices: means over slabs, brought back to the grid by linear interpolation."""
    n = image.shape[axis]
    width = max(1, round(slice_mm / spacing_mm[axis]))
    starts = np.arange(0, n, width)
    counts = np.diff([*starts, n]).reshape([-1 if a == axis else 1 for a in range(3)])
    slabs = np.add.reduceat(image, starts, axis) / counts
    centres = starts + (counts.ravel() - 1) / 2
    where = np.interp(np.arange(n), centres, np.arange(len(starts)))
    low = np.floor(where).astype(int)
    high = np.minimum(low + 1, len(starts) - 1)
    weight = (where - low).reshape([-1 if a == axis else 1 for a in range(3)])
    return np.asarray(
        np.take(slabs, low, axis) * (1 - weight) + np.take(slabs, high, axis) * weight
    )


def _brain(image: np.ndarray) -> np.ndarray:
    return np.asarray(scipy.ndimage.binary_fill_holes(image > 0))


@_each
def erode(
    image: np.ndarray, rng: np.random.Generator, spacing_mm: np.ndarray, depth_mm: float
) -> np.ndarray:
    """Skull-stripping that took a rim of the brain away."""
    depth = scipy.ndimage.distance_transform_edt(np.pad(_brain(image), 1), sampling=spacing_mm)
    return np.where(depth[1:-1, 1:-1, 1:-1] > depth_mm, image, 0)


@_each
def leave_rim(
    image: np.ndarray,
    rng: np.random.Generator,
    spacing_mm: np.ndarray,
    gap_mm: float,
    rim_mm: float,
) -> np.ndarray:
    """Skull-stripping that left something about the brain: a textured rim outside a dark gap.

    The images are stripped, so the tissue that a careless mask leaves is not there; a shell of
    smooth noise, on average half as bright as the brain's 99th percentile, stands for it.
    """
    distance = scipy.ndimage.distance_transform_edt(~_brain(image), sampling=spacing_mm)
    texture = scipy.ndimage.gaussian_filter(rng.standard_normal(image.shape), 3.0 / spacing_mm)
    level = 0.5 * np.percentile(image[image > 0], 99)
    shell = level * np.clip(1 + 0.5 * texture / texture.std(), 0.1, None)
    return np.where((distance > gap_mm) & (distance <= gap_mm + rim_mm), shell, image)


PAIR_STEPS: dict[str, Callable[..., PairImages]] = {
    "turn": turn,
    "mis_space": mis_space,
    "push": push,
    "off_centre": off_centre,
    "cut_above": cut_above,
    "as_is": as_is,
    "zscore": zscore,
    "match_histogram": match_histogram,
    "shade": shade,
    "gamma": gamma,
    "remap": remap,
    "quantise": quantise,
    "add_noise": add_noise,
    "blur": blur,
    "thicken": thicken,
    "erode": erode,
    "leave_rim": leave_rim,
}
