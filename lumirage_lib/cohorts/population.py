"""Populations generated from one brain with labels, of which the true correspondence is known.

Subject i at point x (mm) shows the brain at ``phi_i(x) = A_i(exp(v_i)(x))``: a stationary velocity
field (Arsigny et al. 2006) of two scales, then an affine map. Its inverse is
``exp(-v_i)(A_i^-1(y))``, so the true map from fixed to moving is ``phi_m^-1(phi_f(x))``. A population
with a fine scale has a second velocity field `w_i` of that scale, which moves first:
``phi_i(x) = A_i(exp(v_i)(exp(w_i)(x)))``.
"""

import functools
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import scipy

from ..errors import InputError
from ..images.volumes import Volume, load_volume, reorient, rescale_grid
from ..images.warp import apply_matrix, compose, identity_grid, sample, warp_labels
from .base import Cohort, Pair, Scan
from .cache import keep_arrays

GENERATOR = 1  # raised when the same seed gives another population
# Lengths for a brain of human size; those of another are multiplied by its `scale`.
COARSE_MM = 4.0  # grid of the velocity fields; they are smooth at twice this
SCALES_MM = {20.0: 1.8, 9.0: 1.2}  # smoothing sigma -> rms of each velocity component, mm
FINE_STRAIN = 0.14  # rms of each derivative of a fine velocity field, whatever its scale
FINEST_MM, LEAST_FINE_MM = 1.0, 9.0  # scales that may be asked for
NOISE = 0.015  # of the brightest tissue, in either channel
SHIFT_MM = 4.0  # largest translation along an axis
COARSEST_MM = 8.0
KEPT_MM = 1.0  # true displacements of this and coarser grids are kept on disk, 75 MB each at most
SQUARINGS, FINE_SQUARINGS = 7, 4  # a fine field is shorter than its voxels


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


@dataclass(frozen=True)
class Variation:
    """How the subjects of a population differ from one another.

    Attributes
    ----------
    seed : int
        Another seed is another population.
    fine_mm : float
        Smoothing sigma of the fine deformation, for a brain of human size; 0: there is none, and
        nothing smaller than 9 mm differs.
    noise : float
        Standard deviation of the noise in either channel, over the brightest tissue; every subject
        has its own.
    """

    seed: int
    fine_mm: float = 0.0
    noise: float = NOISE

    def __post_init__(self):
        if self.fine_mm and not FINEST_MM <= self.fine_mm < LEAST_FINE_MM:
            raise InputError(
                f"fine_mm={self.fine_mm:g}: expected 0 (none) or {FINEST_MM:g} to less than "
                f"{LEAST_FINE_MM:g} mm, where the coarse deformations begin"
            )
        if not 0 <= self.noise < 0.5:
            raise InputError(f"noise={self.noise:g}: expected 0 to less than 0.5 of the signal")

    @property
    def name(self) -> str:
        """What it adds to a fingerprint: nothing for the published population's."""
        fine = f"-fine{self.fine_mm:g}mm" if self.fine_mm else ""
        return fine + (f"-noise{self.noise:g}" if self.noise != NOISE else "")


@functools.cache
def _template(anatomy: Anatomy, spacing_mm: float) -> Volume:
    """The image on a grid of at most half the spacing asked for, smoothed for it, if it has one."""
    volume = reorient(load_volume(anatomy.image))
    native_mm = volume.spacing_mm[0]
    step = max(1, int(spacing_mm / 2 / native_mm))
    if step == 1:
        return volume
    sigma = spacing_mm / native_mm / 2.355
    smooth = scipy.ndimage.gaussian_filter(volume.data, sigma, truncate=2)
    affine = volume.affine @ np.diag([step, step, step, 1.0])
    return Volume(smooth[::step, ::step, ::step], affine, volume.name)


@functools.cache
def _labels(anatomy: Anatomy) -> Volume:
    volume = reorient(load_volume(anatomy.labels, labels=True))
    known = np.isin(volume.data, anatomy.read_table().index)
    return Volume(np.where(known, volume.data, 0), volume.affine, volume.name)


@functools.cache
def _native_grid(anatomy: Anatomy) -> tuple[np.ndarray, tuple[int, ...]]:
    header = nib.as_closest_canonical(nib.load(anatomy.image))  # the voxels of RAS stay unread
    return header.affine, header.shape


def _grid(anatomy: Anatomy, spacing_mm: float) -> tuple[np.ndarray, tuple[int, ...]]:
    """The grid of every subject."""
    # By way of the coarse grid, which rounds the box up to whole voxels of its own.
    return rescale_grid(*_coarse_grid(anatomy), spacing_mm)


def _coarse_grid(anatomy: Anatomy) -> tuple[np.ndarray, tuple[int, ...]]:
    return rescale_grid(*_native_grid(anatomy), COARSE_MM * anatomy.scale)


def _exponential(velocity: np.ndarray, squarings: int = SQUARINGS) -> np.ndarray:
    field = velocity / np.float32(2**squarings)
    for _ in range(squarings):
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
        smooth = scipy.ndimage.gaussian_filter(noise, [0, *[sigma_mm / COARSE_MM] * 3], mode="wrap")
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


@functools.lru_cache(maxsize=2)
def _fine_deformation(
    anatomy: Anatomy, variation: Variation, subject: int, inverse: bool
) -> np.ndarray:
    """exp(w), or its inverse exp(-w), on a grid of half its scale, in its voxels."""
    rng = np.random.default_rng(
        [GENERATOR, variation.seed, subject, 2, round(variation.fine_mm * 1000)]
    )
    _, shape = _fine_grid(anatomy, variation)
    velocity = np.empty((3, *shape), np.float32)
    sigma = 2.0  # voxels of this grid
    for component in velocity:
        noise = rng.standard_normal(shape, np.float32)
        component[...] = scipy.ndimage.gaussian_filter(noise, sigma, mode="wrap")
        # White noise that was smoothed with sigma has derivatives of rms / (sqrt(2) sigma).
        component *= FINE_STRAIN * np.sqrt(2) * sigma / component.std()
    return _exponential(-velocity if inverse else velocity, FINE_SQUARINGS)


def _fine_grid(anatomy: Anatomy, variation: Variation) -> tuple[np.ndarray, tuple[int, ...]]:
    return rescale_grid(*_coarse_grid(anatomy), variation.fine_mm / 2 * anatomy.scale)


def _follow(
    field: np.ndarray, affine: np.ndarray, spacing_mm: float, points_mm: np.ndarray, order: int
) -> np.ndarray:
    """Move points (3, ...) in mm by a field in voxels of an isotropic grid."""
    there = apply_matrix(np.linalg.inv(affine), points_mm)
    step = np.stack([sample(c, there, order=order, mode="nearest") for c in field])
    return points_mm + step * np.float32(spacing_mm)


def _follow_coarse(anatomy: Anatomy, field: np.ndarray, points_mm: np.ndarray) -> np.ndarray:
    # Cubic: between the samples of a smooth field linear interpolation would err by 0.1 mm.
    affine, _ = _coarse_grid(anatomy)
    return _follow(field, affine, COARSE_MM * anatomy.scale, points_mm, order=3)


def _follow_fine(
    anatomy: Anatomy, variation: Variation, scan: Scan, points_mm: np.ndarray, inverse: bool
) -> np.ndarray:
    if not variation.fine_mm:
        return points_mm
    field = _fine_deformation(anatomy, variation, int(scan.id), inverse)
    affine, _ = _fine_grid(anatomy, variation)
    return _follow(field, affine, variation.fine_mm / 2 * anatomy.scale, points_mm, order=1)


def _to_template(
    anatomy: Anatomy, variation: Variation, scan: Scan, points_mm: np.ndarray
) -> np.ndarray:
    field, _, affine = _deformation(anatomy, variation.seed, int(scan.id))
    points_mm = _follow_fine(anatomy, variation, scan, points_mm, inverse=False)
    return apply_matrix(affine, _follow_coarse(anatomy, field, points_mm))


def _from_template(
    anatomy: Anatomy, variation: Variation, scan: Scan, points_mm: np.ndarray
) -> np.ndarray:
    _, inverse, affine = _deformation(anatomy, variation.seed, int(scan.id))
    points_mm = _follow_coarse(anatomy, inverse, apply_matrix(np.linalg.inv(affine), points_mm))
    return _follow_fine(anatomy, variation, scan, points_mm, inverse=True)


def _generate(
    anatomy: Anatomy, scan: Scan, spacing_mm: float, variation: Variation
) -> dict[str, np.ndarray]:
    affine, shape = _grid(anatomy, spacing_mm)
    template, labels = _template(anatomy, spacing_mm), _labels(anatomy)
    there = _to_template(anatomy, variation, scan, apply_matrix(affine, identity_grid(shape)))
    image = sample(template.data, apply_matrix(np.linalg.inv(template.affine), there))
    image /= np.float32(anatomy.full_intensity)
    at_labels = apply_matrix(np.linalg.inv(labels.affine), there)
    moved = warp_labels(labels.data, at_labels - identity_grid(shape), "linear")
    begin = [GENERATOR, variation.seed, int(scan.id)]
    rng = np.random.default_rng([*begin, round(spacing_mm * 1000)])
    coarse = np.random.default_rng([*begin, 1]).standard_normal((4, 4, 4))
    zoom = [n / 4 for n in shape]
    bias = np.exp(0.08 * scipy.ndimage.zoom(coarse, zoom, order=3, grid_mode=True, mode="nearest"))
    noise = rng.normal(0, variation.noise, (2, *shape))
    brain = image > 0.02
    # Rician: the magnitude of a complex signal with noise in both channels (Gudbjartsson 1995).
    noisy = np.hypot(image * bias + noise[0], noise[1])
    return {
        "image": np.where(brain, noisy, 0).astype(np.float32),
        "labels": np.where(brain, moved, 0).astype(np.int16),
    }


def _fingerprint(anatomy: Anatomy, scan: Scan, spacing_mm: float, variation: Variation) -> str:
    which = f"{anatomy.name}-{GENERATOR}-{anatomy.version}-{variation.seed}-{scan.id}"
    return f"{which}-{spacing_mm:g}mm{variation.name}"


def _correspond(
    anatomy: Anatomy, pair: Pair, spacing_mm: float, variation: Variation
) -> np.ndarray:
    """True displacement (3, X, Y, Z) of a pair in voxels of the fixed grid."""
    affine, shape = _grid(anatomy, spacing_mm)
    points = apply_matrix(affine, identity_grid(shape))
    there = _to_template(anatomy, variation, pair.fixed, points)
    moving = _from_template(anatomy, variation, pair.moving, there)
    return apply_matrix(np.linalg.inv(affine), moving) - identity_grid(shape)


def populate(
    anatomy: Anatomy,
    spacing_mm: float,
    n_subjects: int,
    seed: int,
    *,
    fine_mm: float = 0.0,
    noise: float = NOISE,
) -> Cohort:
    """The cohort of deformations of one anatomy, with their true correspondence.

    Parameters
    ----------
    anatomy : Anatomy
    spacing_mm : float
        Isotropic voxel size, from that of the file to 8 mm times the scale of the anatomy. What a
        subject looks like does not depend on it.
    n_subjects : int
    seed, fine_mm, noise
        See :class:`Variation`.

    Raises
    ------
    InputError
        The spacing is finer than the file or too coarse, or a fine scale or noise out of range.
    """
    variation = Variation(seed, fine_mm, noise)
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
        return _fingerprint(anatomy, scan, spacing_mm, variation)

    def cached(scan: Scan, name: str) -> np.ndarray:
        """Generated once per machine."""
        arrays = keep_arrays(
            "generated", print_of(scan), lambda: _generate(anatomy, scan, spacing_mm, variation)
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
            return {"truth": _correspond(anatomy, pair, spacing_mm, variation)}

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
        {"spacing_mm": spacing_mm, "n_subjects": n_subjects, **asdict(variation)},
        true_displacement,
        reference=anatomy.reference,
        title=f"a generated population of {n_subjects} brains",
        limits=(
            "The subjects are one brain under random smooth deformations: anatomy varies less than "
            "between people, every fold of the cortex has its counterpart. What is shown is that the "
            "machinery works, not how methods rank on people.",
        ),
        label_words={anatomy.label_set: "the template's own"},
    )
