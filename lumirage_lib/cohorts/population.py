"""Populations generated from one brain with labels, of which the true correspondence is known.

Subject i at point x (mm) shows the brain at ``phi_i(x) = A_i(exp(v_i)(x))``: a stationary velocity
field (Arsigny et al. 2006) of two scales, then an affine map. Its inverse is
``exp(-v_i)(A_i^-1(y))``, so the true map from fixed to moving is ``phi_m^-1(phi_f(x))``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from scipy import ndimage

from ..errors import InputError
from ..images.volumes import Volume, load_volume, reorient, rescale_grid
from ..images.warp import apply_matrix, compose, identity_grid, sample, warp_labels
from .base import Cohort, Pair, Scan
from .cache import keep_arrays

GENERATOR = 1  # raised when the same seed gives another population
# Lengths for a brain of human size; those of another are multiplied by its `scale`.
COARSE_MM = 4.0  # grid of the velocity fields; they are smooth at twice this
SCALES_MM = {20.0: 1.8, 9.0: 1.2}  # smoothing sigma -> rms of each velocity component, mm
SHIFT_MM = 4.0  # largest translation along an axis
COARSEST_MM = 8.0
KEPT_MM = 1.0  # true displacements of this and coarser grids are kept on disk, 75 MB each at most
SQUARINGS = 7


@dataclass(frozen=True)
class Anatomy:
    """The brain that every subject of a generated population is a deformation of.

    Attributes
    ----------
    name, version : str
        Begin the fingerprints; `version` changes when the files do.
    image, labels : Path
        Skull-stripped image of isotropic voxels, and its label map in the same world.
    label_set : str
        What the labels are called.
    read_table : callable
        Table of the labels, index `label`, columns `name`, `group` and, where known, `tissue` (1 CSF,
        2 grey, 3 white matter). Numbers that it lacks become background.
    reference : str
        Citation key.
    scale : float
        Length of the brain over that of a human one: deformations are as much smaller.
    full_intensity : float
        Intensity in the file that becomes 1.
    """

    name: str
    version: str
    image: Path
    labels: Path
    label_set: str
    read_table: Callable[[], pd.DataFrame]
    reference: str
    scale: float = 1.0
    full_intensity: float = 1.0


@functools.cache
def _template(anatomy: Anatomy, spacing_mm: float) -> Volume:
    """The image on a grid of at most half the spacing asked for, smoothed for it, if it has one."""
    volume = reorient(load_volume(anatomy.image))
    native_mm = volume.spacing_mm[0]
    step = max(1, int(spacing_mm / 2 / native_mm))
    if step == 1:
        return volume
    sigma = spacing_mm / native_mm / 2.355
    smooth = ndimage.gaussian_filter(volume.data, sigma, truncate=2)
    affine = volume.affine @ np.diag([step, step, step, 1.0])
    return Volume(smooth[::step, ::step, ::step], affine, volume.name)


@functools.cache
def _labels(anatomy: Anatomy) -> Volume:
    volume = reorient(load_volume(anatomy.labels, labels=True))
    known = np.isin(volume.data, anatomy.read_table().index)
    return Volume(np.where(known, volume.data, 0), volume.affine, volume.name)


@functools.cache
def _native_grid(anatomy: Anatomy) -> tuple[np.ndarray, tuple[int, int, int]]:
    header = nib.as_closest_canonical(nib.load(anatomy.image))  # the voxels of RAS stay unread
    return header.affine, header.shape


def _grid(anatomy: Anatomy, spacing_mm: float) -> tuple[np.ndarray, tuple[int, int, int]]:
    """The grid of every subject."""
    # By way of the coarse grid, which rounds the box up to whole voxels of its own.
    return rescale_grid(*_coarse_grid(anatomy), spacing_mm)


def _coarse_grid(anatomy: Anatomy) -> tuple[np.ndarray, tuple[int, int, int]]:
    return rescale_grid(*_native_grid(anatomy), COARSE_MM * anatomy.scale)


def _exponential(velocity: np.ndarray) -> np.ndarray:
    field = velocity / 2**SQUARINGS
    for _ in range(SQUARINGS):
        field = compose(field, field)
    return field


@functools.lru_cache(maxsize=16)
def _deformation(
    anatomy: Anatomy, seed: int, subject: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """exp(v) and exp(-v) on the coarse grid, in its voxels, and the affine map in mm."""
    rng = np.random.default_rng([GENERATOR, seed, subject])
    _, shape = _coarse_grid(anatomy)
    velocity = np.zeros((3, *shape), np.float32)
    for sigma_mm, rms_mm in SCALES_MM.items():  # in coarse voxels: the same for every anatomy
        noise = rng.standard_normal((3, *shape))
        smooth = ndimage.gaussian_filter(noise, [0, *[sigma_mm / COARSE_MM] * 3], mode="wrap")
        velocity += smooth / smooth.std() * rms_mm / COARSE_MM
    angles = np.deg2rad(rng.uniform(-4, 4, 3))
    rotation = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = (a for a in range(3) if a != axis)
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        rotation = turn @ rotation
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag(rng.uniform(0.95, 1.05, 3))
    affine[:3, 3] = rng.uniform(-SHIFT_MM, SHIFT_MM, 3) * anatomy.scale
    return _exponential(velocity), _exponential(-velocity), affine


def _follow(anatomy: Anatomy, field: np.ndarray, points_mm: np.ndarray) -> np.ndarray:
    """Move points (3, ...) in mm by a coarse-grid field."""
    affine, _ = _coarse_grid(anatomy)
    there = apply_matrix(np.linalg.inv(affine), points_mm)
    # Cubic: between the samples of a smooth field linear interpolation would err by 0.1 mm.
    step = np.stack([sample(c, there, order=3, mode="nearest") for c in field])
    return points_mm + step * np.float32(COARSE_MM * anatomy.scale)


def _to_template(anatomy: Anatomy, seed: int, scan: Scan, points_mm: np.ndarray) -> np.ndarray:
    field, _, affine = _deformation(anatomy, seed, int(scan.id))
    return apply_matrix(affine, _follow(anatomy, field, points_mm))


def _from_template(anatomy: Anatomy, seed: int, scan: Scan, points_mm: np.ndarray) -> np.ndarray:
    _, inverse, affine = _deformation(anatomy, seed, int(scan.id))
    return _follow(anatomy, inverse, apply_matrix(np.linalg.inv(affine), points_mm))


def _generate(anatomy: Anatomy, scan: Scan, spacing_mm: float, seed: int) -> dict[str, np.ndarray]:
    affine, shape = _grid(anatomy, spacing_mm)
    template, labels = _template(anatomy, spacing_mm), _labels(anatomy)
    there = _to_template(anatomy, seed, scan, apply_matrix(affine, identity_grid(shape)))
    image = sample(template.data, apply_matrix(np.linalg.inv(template.affine), there))
    image /= np.float32(anatomy.full_intensity)
    at_labels = apply_matrix(np.linalg.inv(labels.affine), there)
    moved = warp_labels(labels.data, at_labels - identity_grid(shape), "linear")
    rng = np.random.default_rng([GENERATOR, seed, int(scan.id), round(spacing_mm * 1000)])
    coarse = np.random.default_rng([GENERATOR, seed, int(scan.id), 1]).standard_normal((4, 4, 4))
    zoom = [n / 4 for n in shape]
    bias = np.exp(0.08 * ndimage.zoom(coarse, zoom, order=3, grid_mode=True, mode="nearest"))
    noise = rng.normal(0, 0.015, (2, *shape))
    brain = image > 0.02
    # Rician: the magnitude of a complex signal with noise in both channels (Gudbjartsson 1995).
    noisy = np.hypot(image * bias + noise[0], noise[1])
    return {
        "image": np.where(brain, noisy, 0).astype(np.float32),
        "labels": np.where(brain, moved, 0).astype(np.int16),
    }


def _fingerprint(anatomy: Anatomy, scan: Scan, spacing_mm: float, seed: int) -> str:
    return f"{anatomy.name}-{GENERATOR}-{anatomy.version}-{seed}-{scan.id}-{spacing_mm:g}mm"


def _correspond(anatomy: Anatomy, pair: Pair, spacing_mm: float, seed: int) -> np.ndarray:
    """True displacement (3, X, Y, Z) of a pair in voxels of the fixed grid."""
    affine, shape = _grid(anatomy, spacing_mm)
    points = apply_matrix(affine, identity_grid(shape))
    there = _to_template(anatomy, seed, pair.fixed, points)
    moving = _from_template(anatomy, seed, pair.moving, there)
    return apply_matrix(np.linalg.inv(affine), moving) - identity_grid(shape)


def populate(anatomy: Anatomy, spacing_mm: float, n_subjects: int, seed: int) -> Cohort:
    """The cohort of deformations of one anatomy, with their true correspondence.

    Parameters
    ----------
    anatomy : Anatomy
    spacing_mm : float
        Isotropic voxel size, from that of the file to 8 mm times the scale of the anatomy. What a
        subject looks like does not depend on it.
    n_subjects : int
    seed : int
        Another seed is another population.

    Raises
    ------
    InputError
        The spacing is finer than the file or too coarse.
    """
    native_mm = round(float(np.linalg.norm(_native_grid(anatomy)[0][:3, 0])), 3)
    coarsest_mm = COARSEST_MM * anatomy.scale
    if not native_mm <= spacing_mm <= coarsest_mm:
        raise InputError(
            f"{anatomy.name}: spacing_mm={spacing_mm}: expected {native_mm:g} to {coarsest_mm:g} mm, "
            f"the template has {native_mm:g}"
        )
    scans = tuple(Scan(f"{i:02d}", f"T{i:02d}") for i in range(1, n_subjects + 1))
    affine, _ = _grid(anatomy, spacing_mm)
    table = anatomy.read_table()
    label_sets = {anatomy.label_set: table[["name", "group"]]}
    if "tissue" in table:
        tissues = pd.DataFrame({"name": ["CSF", "grey matter", "white matter"], "group": "tissue"})
        label_sets["tissues"] = tissues.set_index(pd.RangeIndex(1, 4, name="label"))

    def print_of(scan: Scan) -> str:
        return _fingerprint(anatomy, scan, spacing_mm, seed)

    def cached(scan: Scan, name: str) -> np.ndarray:
        """Generated once per machine."""
        arrays = keep_arrays(
            "generated", print_of(scan), lambda: _generate(anatomy, scan, spacing_mm, seed)
        )
        return arrays[name]

    def load_image(scan: Scan) -> Volume:
        return Volume(cached(scan, "image"), affine, f"{anatomy.name} {scan.id}")

    def load_labels(scan: Scan, label_set: str = anatomy.label_set) -> Volume:
        data = cached(scan, "labels")
        if label_set == "tissues":
            tissue_of = np.zeros(table.index.max() + 1, np.int16)
            tissue_of[table.index] = table["tissue"]
            data = tissue_of[data]
        return Volume(data.astype(np.int32), affine, f"{anatomy.name} {scan.id} {label_set}")

    def true_displacement(pair: Pair) -> np.ndarray:
        def make() -> dict[str, np.ndarray]:
            return {"truth": _correspond(anatomy, pair, spacing_mm, seed)}

        if spacing_mm < KEPT_MM * anatomy.scale:
            return make()["truth"]
        name = f"{print_of(pair.fixed)}-{pair.moving.id}"
        return keep_arrays("correspondence", name, make)["truth"]

    return Cohort(
        anatomy.name,
        scans,
        load_image,
        load_labels,
        label_sets,
        print_of,
        {"spacing_mm": spacing_mm, "n_subjects": n_subjects, "seed": seed},
        true_displacement,
        reference=anatomy.reference,
    )
