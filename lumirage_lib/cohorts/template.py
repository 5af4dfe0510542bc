"""A generated population of which the true correspondence is known.

Every subject is the 0.5 mm brain template that the package deepmriprep installs, with its
Neuromorphometrics labels, seen through a seeded random diffeomorphism of its own, with a mild bias
field and noise. Nothing needs a download, any resolution down to 0.5 mm can be asked for, and for any
two subjects the displacement that a perfect registration would return is available.

Subject i at point x (mm) shows the template at ``phi_i(x) = A_i(exp(v_i)(x))``: a stationary velocity
field (Arsigny et al. 2006) of two scales, then an affine map. Its inverse is
``exp(-v_i)(A_i^-1(y))``, so the true map from fixed to moving is ``phi_m^-1(phi_f(x))``.
"""

from __future__ import annotations

import functools
import importlib.resources
from importlib import metadata
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from scipy import ndimage

from ..errors import InputError
from ..volumes import Volume, load_volume, reorient, rescale_grid
from ..warp import apply_matrix, compose, identity_grid, sample, warp_labels
from .base import Cohort, Pair, Scan, structure_group
from .cache import keep_arrays

GENERATOR = 1  # raised when the same seed gives another population
COARSE_MM = 4.0  # grid of the velocity fields; they are smooth at twice this
SCALES_MM = {20.0: 1.8, 9.0: 1.2}  # smoothing sigma -> rms of each velocity component, mm
SQUARINGS = 7
KEPT_MM = 1.0  # true displacements of this and coarser grids are kept on disk, 75 MB each at most


def _folder() -> Path:
    try:
        return Path(str(importlib.resources.files("deepmriprep"))) / "data" / "templates"
    except ModuleNotFoundError:
        raise InputError(
            "the generated cohort needs the package deepmriprep for its template; "
            "install it with the pins of requirements.txt"
        ) from None


@functools.cache
def _template(spacing_mm: float) -> Volume:
    """The template on a grid of half the spacing asked for, smoothed for it (at most 0.5 mm)."""
    volume = reorient(load_volume(_folder() / "Template_05mm_bet.nii.gz"))
    step = max(1, int(spacing_mm / 2 / 0.5))
    if step == 1:
        return volume
    sigma = spacing_mm / 0.5 / 2.355
    smooth = ndimage.gaussian_filter(volume.data, sigma, truncate=2)
    affine = volume.affine @ np.diag([step, step, step, 1.0])
    return Volume(smooth[::step, ::step, ::step], affine, volume.name)


@functools.cache
def _labels() -> Volume:
    return reorient(load_volume(_folder() / "neuromorphometrics.nii.gz", labels=True))


@functools.cache
def label_table() -> pd.DataFrame:
    """Label -> name, group and tissue ("CSF", "grey matter", "white matter")."""
    table = pd.read_csv(_folder() / "neuromorphometrics.csv", sep=";").set_index("ROIid")
    table = table.rename_axis("label").rename(columns={"ROIname": "name"})
    tissue = table[["Vcsf", "Vgm", "Vwm"]].to_numpy().argmax(axis=1)
    group = [structure_group(n, name) for n, name in table["name"].items()]
    return table.assign(group=group, tissue=tissue + 1)[["name", "group", "tissue"]]


@functools.cache
def _coarse_grid() -> tuple[np.ndarray, tuple[int, int, int]]:
    header = nib.load(_folder() / "Template_05mm_bet.nii.gz")  # 62 million voxels stay unread
    return rescale_grid(header.affine, header.shape, COARSE_MM)


def _exponential(velocity: np.ndarray) -> np.ndarray:
    field = velocity / 2**SQUARINGS
    for _ in range(SQUARINGS):
        field = compose(field, field)
    return field


@functools.lru_cache(maxsize=16)
def _deformation(seed: int, subject: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """exp(v) and exp(-v) on the coarse grid, in its voxels, and the affine map in mm."""
    rng = np.random.default_rng([GENERATOR, seed, subject])
    _, shape = _coarse_grid()
    velocity = np.zeros((3, *shape), np.float32)
    for sigma_mm, rms_mm in SCALES_MM.items():
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
    affine[:3, 3] = rng.uniform(-4, 4, 3)
    return _exponential(velocity), _exponential(-velocity), affine


def _follow(field: np.ndarray, points_mm: np.ndarray) -> np.ndarray:
    """Move points (3, ...) in mm by a coarse-grid field."""
    affine, _ = _coarse_grid()
    there = apply_matrix(np.linalg.inv(affine), points_mm)
    # Cubic: between the samples of a smooth field linear interpolation would err by 0.1 mm.
    step = np.stack([sample(c, there, order=3, mode="nearest") for c in field])
    return points_mm + step * np.float32(COARSE_MM)


def _to_template(seed: int, scan: Scan, points_mm: np.ndarray) -> np.ndarray:
    field, _, affine = _deformation(seed, int(scan.id))
    return apply_matrix(affine, _follow(field, points_mm))


def _from_template(seed: int, scan: Scan, points_mm: np.ndarray) -> np.ndarray:
    _, inverse, affine = _deformation(seed, int(scan.id))
    return _follow(inverse, apply_matrix(np.linalg.inv(affine), points_mm))


def _grid(spacing_mm: float) -> tuple[np.ndarray, tuple[int, int, int]]:
    full, shape = _coarse_grid()
    return rescale_grid(full, shape, spacing_mm)


def _generate(scan: Scan, spacing_mm: float, seed: int) -> dict[str, np.ndarray]:
    affine, shape = _grid(spacing_mm)
    template, labels = _template(spacing_mm), _labels()
    there = _to_template(seed, scan, apply_matrix(affine, identity_grid(shape)))
    image = sample(template.data, apply_matrix(np.linalg.inv(template.affine), there))
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


def _cached(scan: Scan, spacing_mm: float, seed: int, name: str) -> np.ndarray:
    """Generated once per machine."""
    file = _fingerprint(scan, spacing_mm, seed)
    return keep_arrays("generated", file, lambda: _generate(scan, spacing_mm, seed))[name]


def _correspond(pair: Pair, spacing_mm: float, seed: int) -> np.ndarray:
    """True displacement (3, X, Y, Z) of a pair in voxels of the fixed grid."""
    affine, shape = _grid(spacing_mm)
    points = apply_matrix(affine, identity_grid(shape))
    moving = _from_template(seed, pair.moving, _to_template(seed, pair.fixed, points))
    return apply_matrix(np.linalg.inv(affine), moving) - identity_grid(shape)


def _fingerprint(scan: Scan, spacing_mm: float, seed: int) -> str:
    package = metadata.version("deepmriprep")
    return f"template-{GENERATOR}-{package}-{seed}-{scan.id}-{spacing_mm:g}mm"


def template(spacing_mm: float = 2.0, n_subjects: int = 6, seed: int = 0) -> Cohort:
    """The generated cohort.

    Parameters
    ----------
    spacing_mm : float
        Isotropic voxel size, 0.5 to 8 mm. The anatomy of a subject does not depend on it.
    n_subjects : int
    seed : int
        Another seed is another population.
    """
    if not 0.5 <= spacing_mm <= 8:
        raise InputError(f"spacing_mm={spacing_mm}: expected 0.5 to 8 mm, the template has 0.5")
    scans = tuple(Scan(f"{i:02d}", f"T{i:02d}") for i in range(1, n_subjects + 1))
    affine, _ = _grid(spacing_mm)
    tissue_of = np.zeros(256, np.int16)
    table = label_table()
    tissue_of[table.index] = table["tissue"]

    def load_image(scan: Scan) -> Volume:
        return Volume(_cached(scan, spacing_mm, seed, "image"), affine, f"template {scan.id}")

    def load_labels(scan: Scan, label_set: str = "manual") -> Volume:
        labels = _cached(scan, spacing_mm, seed, "labels")
        data = tissue_of[labels] if label_set == "tissues" else labels
        return Volume(data.astype(np.int32), affine, f"template {scan.id} {label_set}")

    def true_displacement(pair: Pair) -> np.ndarray:
        if spacing_mm < KEPT_MM:
            return _correspond(pair, spacing_mm, seed)
        name = f"{_fingerprint(pair.fixed, spacing_mm, seed)}-{pair.moving.id}"

        def make() -> dict[str, np.ndarray]:
            return {"truth": _correspond(pair, spacing_mm, seed)}

        return keep_arrays("correspondence", name, make)["truth"]

    tissues = pd.DataFrame({"name": ["CSF", "grey matter", "white matter"], "group": "tissue"})
    tissues.index = pd.RangeIndex(1, 4, name="label")
    return Cohort(
        "template",
        scans,
        load_image,
        load_labels,
        {"manual": table[["name", "group"]], "tissues": tissues},
        lambda scan: _fingerprint(scan, spacing_mm, seed),
        {"spacing_mm": spacing_mm, "n_subjects": n_subjects, "seed": seed},
        true_displacement,
        reference="deepmriprep2024",
    )
