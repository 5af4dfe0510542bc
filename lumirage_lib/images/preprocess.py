"""What happens to two images before a method sees them: small pure steps, listed, not hidden.

A :class:`Preprocessing` is a name, the steps applied to each image on its own grid, how the moving
image is brought onto the fixed grid, and the steps applied to the pair on that grid. The state that
passes through is :class:`PairImages`: the two arrays and two matrices that lead from the working
grid back to the native arrays, so that whatever was done, one displacement on the native grid comes
out and labels are interpolated once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy import ndimage

from ..errors import InputError
from .volumes import Volume, bounding_box, rescale_grid, round_up, translation, window


@dataclass(frozen=True)
class Step:
    """A step by name with its arguments, e.g. ``Step("crop", (("margin_mm", 4.0),))``."""

    name: str
    arguments: tuple[tuple[str, float | int | str], ...] = ()


def step(name: str, **arguments) -> Step:
    return Step(name, tuple(sorted(arguments.items())))


@dataclass(frozen=True)
class Preprocessing:
    """The steps of one preprocessing condition.

    Attributes
    ----------
    name : str
    image_steps : tuple of Step
        On each image, native grid.
    alignment : {"affine", "rigid", "centre"}
        How the moving image comes onto the fixed grid: an affine or rigid registration estimated
        once per pair and shared by all methods, or only the centres of mass put together.
    pair_steps : tuple of Step
        On the pair, on the fixed grid.
    """

    name: str = "standard"
    image_steps: tuple[Step, ...] = (Step("robust"),)
    alignment: str = "affine"
    pair_steps: tuple[Step, ...] = (Step("crop", (("margin_mm", 4.0),)),)

    def as_dict(self) -> dict:
        """What the results store hashes; the name is a label, not content."""
        content = asdict(self)
        content.pop("name")
        return content


STANDARD = Preprocessing()


@dataclass(frozen=True, eq=False)
class PairImages:
    """Two images on one working grid.

    Attributes
    ----------
    fixed, moving : ndarray of float32, shape (X, Y, Z)
    affine : ndarray (4, 4)
        Working voxel -> world, mm, RAS+: what a method is told of the grid.
    to_fixed, to_moving : ndarray (4, 4)
        Working voxel -> native voxel of the fixed and of the moving array (canonical RAS).
    final : bool
        Intensities are to stay as they are: the scaling a method declares is left out.
    """

    fixed: np.ndarray
    moving: np.ndarray
    affine: np.ndarray
    to_fixed: np.ndarray
    to_moving: np.ndarray
    final: bool = False

    @property
    def spacing_mm(self) -> np.ndarray:
        return np.linalg.norm(self.affine[:3, :3], axis=0)


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
    OASIS scans the maximum lies anywhere between 1.2 and 2.3 times the 99th percentile.
    """
    top = _foreground_percentile(volume, high)
    return replace(volume, data=np.clip(volume.data / np.float32(top), 0, 1).astype(np.float32))


def _foreground_percentile(volume: Volume, q):
    foreground = volume.data[volume.data > 0]
    if foreground.size == 0:
        raise InputError(f"{volume.name}: no voxel above 0; the image is empty")
    return np.percentile(foreground, q)


def percentile(volume: Volume, low: float = 1.0, high: float = 99.0) -> Volume:
    """Clip at two percentiles of the foreground (> 0) and scale to [0, 1]."""
    bottom, top = _foreground_percentile(volume, [low, high])
    scaled = (volume.data.astype(np.float32) - bottom) / max(top - bottom, 1e-12)
    return replace(volume, data=np.where(volume.data > 0, np.clip(scaled, 0, 1), 0).astype("f4"))


def bias_field(volume: Volume, shrink: int = 4) -> Volume:
    """Correct intensity inhomogeneity by N4 (Tustison et al. 2010), antspyx."""
    import ants

    from .linear import from_ants, to_ants

    image = to_ants(volume.data, volume.affine)
    mask = to_ants((volume.data > 0).astype(np.float32), volume.affine)
    corrected = ants.n4_bias_field_correction(image, mask, shrink_factor=shrink)
    return replace(volume, data=from_ants(corrected))


IMAGE_STEPS: dict[str, Callable[..., Volume]] = {
    "robust": robust,
    "minmax": minmax,
    "percentile": percentile,
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
    # Keeps what the coarser grid can represent (half a new voxel, full width at half maximum).
    sigma = np.where(zoom > 1, np.sqrt(np.maximum(zoom**2 - 1, 0)) / 2.355, 0)

    def coarser(image):
        smooth = ndimage.gaussian_filter(image, sigma) if sigma.any() else image
        return ndimage.affine_transform(
            smooth, to_old[:3, :3], to_old[:3, 3], shape, np.float32, order=1, mode="nearest"
        )

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


def pair_window(pair: PairImages, start, shape) -> PairImages:
    """The same pair in another box of voxels; see :func:`lumirage_lib.images.volumes.window`."""
    fixed = window(Volume(pair.fixed, pair.affine), start, shape)
    moving = window(Volume(pair.moving, pair.affine), start, shape)
    shift = translation(start)
    ways = (pair.to_fixed @ shift, pair.to_moving @ shift)
    return PairImages(fixed.data, moving.data, fixed.affine, *ways, pair.final)


# ---- the whole -----------------------------------------------------------------------------------


def _apply(steps: dict, which: Step, value):
    if which.name not in steps:
        raise InputError(
            f"preprocessing step {which.name!r} is unknown; there are {', '.join(sorted(steps))}"
        )
    return steps[which.name](value, **dict(which.arguments))


def prepare_image(volume: Volume, preprocessing: Preprocessing) -> Volume:
    """Apply the steps that concern one image."""
    for which in preprocessing.image_steps:
        volume = _apply(IMAGE_STEPS, which, volume)
    return volume


def prepare_pair(
    fixed: Volume, moving: Volume, preprocessing: Preprocessing, alignment: np.ndarray
) -> PairImages:
    """Bring two native images to the working grid.

    Parameters
    ----------
    fixed, moving : Volume
        Native, canonical RAS.
    alignment : ndarray (4, 4)
        Native fixed voxel -> native moving voxel (see :func:`lumirage_lib.images.linear.align`).
    """
    from . import perturb  # its steps are built on this module

    fixed, moving = (prepare_image(v, preprocessing) for v in (fixed, moving))
    on_fixed = ndimage.affine_transform(
        moving.data, alignment[:3, :3], alignment[:3, 3], fixed.shape, np.float32, order=1
    )
    pair = PairImages(fixed.data, on_fixed, fixed.affine, np.eye(4), np.asarray(alignment, float))
    for which in preprocessing.pair_steps:
        pair = _apply(PAIR_STEPS | perturb.PAIR_STEPS, which, pair)
    return pair
