"""Training images: the OASIS scans of the training group, and nothing of any test subject.

Every scan is brought into one frame, the first scan's, by one affine estimated once. What a step of
training sees is drawn on the fly: frame, random affine and mirroring are composed and each scan is
interpolated once, smoothed as :func:`lumirage_lib.images.preprocess.set_spacing` smooths it at inference.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from ...cohorts import Cohort, Scan
from ...errors import InputError
from ...images.linear import align
from ...images.preprocess import robust
from ...images.volumes import (
    Volume,
    bounding_box,
    resample,
    rescale_grid,
    round_up,
    translation,
    window,
)
from .recipes import HELD_OUT_MAPS

MARGIN_MM = 4.0  # around the brain, as the shared preprocessing leaves it
COARSE_MM = 2.0  # on which the frame is estimated


@dataclass(frozen=True, eq=False)
class Brains:
    """Scans in one frame.

    Attributes
    ----------
    images : tuple of Tensor
        Each (A, B, C), float32, its scan's own grid, foreground scaled to [0, 1].
    matrices : ndarray (n, 4, 4)
        Voxel of the frame -> voxel of the scan.
    shape : tuple of int
        Of the frame.
    spacing_mm : float
    """

    images: tuple[Tensor, ...]
    matrices: np.ndarray
    shape: tuple[int, int, int]
    spacing_mm: float


def training_scans(cohort: Cohort) -> list[Scan]:
    """The scans of a cohort that may be trained on.

    Raises
    ------
    InputError
        There are none, or a subject is in both groups: what is learned would be tested on itself.
    """
    chosen = [scan for scan in cohort.scans if scan.group == "train"]
    tested = {scan.subject for scan in cohort.scans if scan.group != "train"}
    both = sorted({scan.subject for scan in chosen} & tested)
    if both or not chosen:
        raise InputError(
            f"{cohort.name}: expected training scans of subjects that are not tested, "
            + (f"but {', '.join(both)} are in both groups" if both else "found none")
        )
    return chosen


def load_brains(
    cohort: Cohort,
    scans: Sequence[Scan],
    spacing_mm: float,
    multiple: int,
    cache: Path | None = None,
) -> Brains:
    """Read scans and bring them into the frame of the first one. No label map is read.

    Parameters
    ----------
    multiple : int
        Sides of the frame are padded to a multiple of this.
    cache : path, optional
        JSON file that keeps the affines, 10 to 20 seconds each, from one run to the next.

    Raises
    ------
    InputError
        A scan is not one of :func:`training_scans`.
    """
    allowed = {scan.id for scan in training_scans(cohort)}
    refused = [scan.id for scan in scans if scan.id not in allowed]
    if refused:
        raise InputError(f"{cohort.name}: {', '.join(refused)}: not in the training group")
    volumes = [robust(cohort.load_image(scan)) for scan in scans]
    affine, shape = _make_frame(volumes[0], spacing_mm, multiple)
    known = json.loads(cache.read_text()) if cache is not None and cache.exists() else {}
    coarse, matrices = _coarsen(volumes[0], COARSE_MM), []
    for scan, volume in zip(scans, volumes, strict=True):
        name = f"{cohort.fingerprint(scan)} in {cohort.fingerprint(scans[0])}"
        if name not in known:
            known[name] = _align_world(coarse, _coarsen(volume, COARSE_MM)).tolist()
            if cache is not None:
                cache.write_text(json.dumps(known))
        matrices.append(np.linalg.inv(volume.affine) @ np.array(known[name]) @ affine)
    images = tuple(torch.from_numpy(_smooth(v, spacing_mm)) for v in volumes)
    return Brains(images, np.array(matrices), shape, spacing_mm)


def draw_affine(rng: np.random.Generator, largest: tuple, spacing_mm: float) -> np.ndarray:
    """Random 4x4 map about the origin, in voxels: rotation, scaling along the axes, shift.

    `largest` holds the largest rotation (degrees), scaling (fraction) and shift (mm); each of the
    three components of each is uniform up to it.
    """
    degrees, fraction, shift_mm = largest
    turn = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(rng.uniform(-degrees, degrees, 3))):
        plane = np.delete(np.arange(3), axis)
        one = np.eye(3)
        one[np.ix_(plane, plane)] = [
            [np.cos(angle), -np.sin(angle)],
            [np.sin(angle), np.cos(angle)],
        ]
        turn = turn @ one
    matrix = np.eye(4)
    matrix[:3, :3] = turn * np.exp(rng.uniform(-1, 1, 3) * np.log1p(fraction))
    matrix[:3, 3] = rng.uniform(-shift_mm, shift_mm, 3) / spacing_mm
    return matrix


def draw_pair(
    brains: Brains,
    rng: np.random.Generator,
    shared: tuple,
    individual: tuple,
    scales: tuple[float, float] | None = None,
) -> Tensor:
    """Two different brains, each perhaps mirrored left to right, (2, 1, X, Y, Z) in the frame."""
    chosen = rng.choice(len(brains.images), 2, replace=False)
    whole = draw_affine(rng, shared, brains.spacing_mm)
    if scales is not None:
        whole[:3, :3] /= rng.uniform(*scales)
    return torch.cat(
        [
            sample_brain(
                brains,
                number,
                np.diag([rng.choice([-1.0, 1.0]), 1, 1, 1])
                @ draw_affine(rng, individual, brains.spacing_mm)
                @ whole,
            )
            for number in chosen
        ]
    )


KNOTS = 6  # of an intensity map, evenly spaced from air (0) to the brightest tissue (1)
APART = 0.25  # least distance, at some knot, of a map that is trained on from those


def draw_map(rng: np.random.Generator) -> np.ndarray:
    """Intensities at the knots of a random piecewise linear map of the brain; every second one rises.

    A map within :data:`APART` of one of :data:`HELD_OUT_MAPS` at every knot is drawn again.
    """
    while True:
        values = rng.uniform(0, 1, KNOTS)
        values = np.sort(values) if rng.random() < 0.5 else values
        if all(np.abs(values - m).max() >= APART for m in HELD_OUT_MAPS.values()):
            return values


def remap(images: Tensor, values: np.ndarray) -> Tensor:
    """Images in [0, 1] through a map given at its knots; air (0) stays 0."""
    at = images.clamp(0, 1) * (len(values) - 1)
    low = at.floor().long().clamp(max=len(values) - 2)
    known = torch.as_tensor(values, dtype=images.dtype, device=images.device)
    return torch.where(images > 0, torch.lerp(known[low], known[low + 1], at - low), 0)


def sample_brain(brains: Brains, number: int, about_centre: np.ndarray | None = None) -> Tensor:
    """One brain in the frame, (1, 1, X, Y, Z), interpolated once; air is 0.

    `about_centre` is a 4x4 map of the frame's voxels, counted from its centre, applied first.
    """
    matrix = brains.matrices[number]
    if about_centre is not None:
        centre = translation((np.array(brains.shape) - 1) / 2)
        matrix = matrix @ centre @ about_centre @ np.linalg.inv(centre)
    image = brains.images[number]
    unit = _to_unit(image.shape) @ matrix @ np.linalg.inv(_to_unit(brains.shape))
    theta = torch.tensor(unit[None, :3], dtype=torch.float32, device=image.device)
    grid = F.affine_grid(theta, [1, 1, *brains.shape], align_corners=True)
    return F.grid_sample(image[None, None], grid, align_corners=True)


def _to_unit(shape) -> np.ndarray:
    """Voxel -> torch's coordinates from -1 to 1, last array axis first."""
    matrix = np.zeros((4, 4))
    for row, axis in enumerate((2, 1, 0)):
        matrix[row, axis] = 2 / (shape[axis] - 1)
        matrix[row, 3] = -1
    matrix[3, 3] = 1
    return matrix


def _make_frame(volume: Volume, spacing_mm: float, multiple: int):
    """Affine and shape of the grid around the brain, sides multiples of `multiple`."""
    margin = int(np.ceil(MARGIN_MM / min(volume.spacing_mm)))
    boxed = window(volume, *bounding_box(volume.data > 0, margin))
    affine, shape = rescale_grid(boxed.affine, boxed.shape, spacing_mm)
    padded = round_up(shape, multiple)
    start = (np.array(shape) - padded) // 2
    return affine @ translation(start), tuple(int(n) for n in padded)


def _smooth(volume: Volume, spacing_mm: float) -> np.ndarray:
    """What a grid of that voxel size can represent of the image."""
    zoom = spacing_mm / np.array(volume.spacing_mm)
    sigma = np.sqrt(np.maximum(zoom**2 - 1, 0)) / 2.355
    return ndimage.gaussian_filter(np.ascontiguousarray(volume.data, np.float32), sigma)


def _coarsen(volume: Volume, spacing_mm: float) -> Volume:
    smooth = replace(volume, data=_smooth(volume, spacing_mm))
    return resample(smooth, *rescale_grid(volume.affine, volume.shape, spacing_mm))


def _align_world(fixed: Volume, moving: Volume) -> np.ndarray:
    """Affine fixed -> moving in world millimetres."""
    if fixed is moving or np.array_equal(fixed.data, moving.data):
        return np.eye(4)
    return moving.affine @ align(fixed, moving) @ np.linalg.inv(fixed.affine)
