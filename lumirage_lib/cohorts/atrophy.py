"""Two time points of one brain, between which one structure has lost or gained a known volume.

The anatomy is a scan of another cohort. A radial velocity field ``u`` about the middle of the structure
on either side, full inside it and fading out over a few millimetres, shrinks or widens it. Both time
points are resampled half-way from the one scan, the first by ``exp(-u)`` and half a small rigid motion,
the second by ``exp(u)`` and the other half: neither is smoother than the other, nor is it so without
atrophy. Then each gets a bias field and Rician noise of its own. What the scan itself has of noise,
both have: a registration of two real scans of one person is harder.

With ``R`` half the motion, time point t (-1 or 1) shows at x what the scan shows at
``phi_t(x) = exp(t u)(R^t(x))``, so the true map from the first to the second is
``R^-1(exp(-2u)(R^-1(x)))``.
"""

import functools
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from ..errors import InputError
from ..images.contrast import degrade, make_rng
from ..images.volumes import Volume
from ..images.warp import apply_matrix, compose, identity_grid, sample, warp_labels
from .base import DATA, Cohort, Pair, Scan
from .cache import keep_arrays
from .oasis import oasis
from .template import template

GENERATOR = 1  # raised when the same options give other images
ANATOMIES: dict[str, Callable[..., Cohort]] = {"oasis": oasis, "template": template}
# Structure -> words in the names of its labels, and the sign of its change with age and disease.
STRUCTURES: Mapping[str, tuple[str, int]] = {
    "hippocampus": ("Hippocampus", -1),
    "ventricle": ("Lateral Ventricle", 1),
}
TIMES = {"before": -1, "after": 1}
FADE_MM = 3.0  # sigma over which the field fades outside the structure
SHIFT_MM, TURN_DEG = 2.0, 2.0  # largest half motion, along and about each axis
BIAS, NOISE = 0.05, 0.02
LARGEST_DOSE = 0.2
SQUARINGS = 5
VOLUME_TOLERANCE = 1e-4  # of the volume
REACH = DATA / "atrophy_reach.csv"  # written by benchmarks/atrophy_reach.py
LEAST_REACH = 1e-3  # a structure whose volume changes by less is not reached by the field


def find_labels(cohort: Cohort, structure: str) -> dict[int, str]:
    """Labels of a structure in the first label set of a cohort, one a side, with their names.

    Raises
    ------
    InputError
        Unknown structure, or the label set has none of it.
    """
    if structure not in STRUCTURES:
        raise InputError(f"structure {structure!r}: expected one of {', '.join(STRUCTURES)}")
    names = next(iter(cohort.label_sets.values()))["name"]
    found = {int(n): name for n, name in names.items() if STRUCTURES[structure][0] in str(name)}
    if not found:
        raise InputError(f"{cohort.name} has no label named {STRUCTURES[structure][0]!r}")
    return found


@functools.cache
def find_reached(anatomy: str, structure: str) -> frozenset[int]:
    """Labels whose volume the imposed field changes, the structure's own and its neighbours.

    From a committed table of true changes at a dose of 8 %, largest over subjects.
    """
    table = pd.read_csv(REACH)
    mine = table[(table["anatomy"] == anatomy) & (table["structure"] == structure)]
    if mine.empty:
        raise InputError(
            f"no structure of {anatomy} is known to be reached by a change of {structure}: "
            "`python benchmarks/atrophy_reach.py` finds them"
        )
    return frozenset(mine.loc[mine["change"].abs() >= LEAST_REACH, "label"])


def _exponential(velocity: np.ndarray) -> np.ndarray:
    field = velocity / np.float32(2**SQUARINGS)
    for _ in range(SQUARINGS):
        field = compose(field, field)
    return field


def _radial(labels: np.ndarray, sides: list[int], spacing_mm: np.ndarray) -> np.ndarray:
    """Velocity (3, X, Y, Z) in voxels: away from the middle of each side, 1 mm a mm inside it."""
    points = identity_grid(labels.shape)
    velocity = np.zeros_like(points)
    for side in sides:
        inside = labels == side
        distance = ndimage.distance_transform_edt(~inside, sampling=spacing_mm)
        middle = np.array(ndimage.center_of_mass(inside), np.float32).reshape(3, 1, 1, 1)
        velocity += (points - middle) * np.exp(-0.5 * (distance / FADE_MM) ** 2).astype(np.float32)
    return velocity


def _jacobian(field: np.ndarray) -> np.ndarray:
    """Determinant of the derivative of x + field(x)."""
    rows = [np.stack(np.gradient(c)) for c in field]
    matrix = np.moveaxis(np.stack(rows), (0, 1), (-2, -1)) + np.eye(3, dtype=np.float32)
    return np.linalg.det(matrix)


def solve_change(
    labels: np.ndarray, sides: list[int], spacing_mm: np.ndarray, change: float
) -> dict[str, np.ndarray]:
    """exp(-u) and exp(u) whose structure changes by that share from first to second.

    Parameters
    ----------
    labels : ndarray of int, shape (X, Y, Z)
    sides : list of int
        The structure's labels, each moved about its own middle.
    spacing_mm : ndarray, shape (3,)
    change : float
        Volume at the second time point over that at the first, minus 1: the integral of the Jacobian
        of either inverse over the structure tells either volume.

    Returns
    -------
    dict
        `start`, first voxel of the box outside which nothing moves, and `first` and `second`, float32
        of shape (3, A, B, C): displacements in voxels in that box.

    Raises
    ------
    InputError
        The map lacks the structure, or no such field has that change.
    """
    structure = np.isin(labels, sides)
    if not structure.any():
        raise InputError(f"the label map has no voxel of {sides}; which scan has?")
    margin = np.ceil(4 * FADE_MM / spacing_mm).astype(int)
    hit = np.nonzero(structure)
    start = np.array([max(0, i.min() - m) for i, m in zip(hit, margin, strict=True)])
    stop = [i.max() + m + 1 for i, m in zip(hit, margin, strict=True)]
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    radial, inside = _radial(labels[box], sides, spacing_mm), structure[box]

    def flow(speed: float) -> tuple[np.ndarray, np.ndarray]:
        return _exponential(-np.float32(speed) * radial), _exponential(np.float32(speed) * radial)

    def miss(speed: float) -> float:
        # What is drawn in by exp(u) takes the volume that exp(-u) gives it.
        first, second = (float(_jacobian(f)[inside].mean()) for f in reversed(flow(speed)))
        return second / first - 1 - change

    speed = 0.0
    if change:
        begin = {"x0": -change / 6, "x1": -change / 5}
        found = optimize.root_scalar(miss, method="secant", xtol=1e-4 * abs(change), **begin)
        speed = found.root
        if not found.converged or abs(miss(speed)) > VOLUME_TOLERANCE:
            raise InputError(f"no radial field changes the volume of {sides} by {change:+.1%}")
    first, second = flow(speed)
    return {"start": start, "first": first, "second": second}


def _flow(flows: Mapping[str, np.ndarray], which: str, points: np.ndarray) -> np.ndarray:
    """Voxel positions (3, ...) moved by one of the two fields."""
    there = points - flows["start"].astype(np.float32).reshape(3, *[1] * (points.ndim - 1))
    return points + np.stack([sample(c, there) for c in flows[which]])


def _half_motion(scan: Scan, spacing_mm: np.ndarray, shape, noise_seed: int) -> np.ndarray:
    """Half of the rigid motion between the time points, voxel to voxel, about the middle."""
    rng = make_rng(noise_seed, scan.id, "motion")
    motion = np.eye(4)
    turn = Rotation.from_euler("xyz", rng.uniform(-TURN_DEG, TURN_DEG, 3), degrees=True)
    motion[:3, :3] = turn.as_matrix()
    centre = (np.array(shape) - 1) / 2 * spacing_mm
    motion[:3, 3] = centre - motion[:3, :3] @ centre + rng.uniform(-SHIFT_MM, SHIFT_MM, 3)
    scale = np.diag([*spacing_mm, 1.0])
    return np.linalg.inv(scale) @ motion @ scale


def atrophy(
    anatomy: str = "oasis",
    structure: str = "hippocampus",
    dose: float = 0.04,
    noise_seed: int = 0,
    **options,
) -> Cohort:
    """The first scan of every subject of a cohort at two time points, "ID before" and "ID after".

    Parameters
    ----------
    anatomy : {"oasis", "template"}
    structure : {"hippocampus", "ventricle"}
        The former shrinks, the latter widens.
    dose : float
        By which share of its volume at the first time point, 0 to 0.2.
    noise_seed : int
        Of motion, bias field and noise, which differ between subjects and time points but not between
        doses.
    options
        Of the anatomy's cohort.

    Raises
    ------
    InputError
        Unknown anatomy or structure, or a dose out of range.
    """
    if anatomy not in ANATOMIES:
        raise InputError(f"anatomy {anatomy!r}: expected one of {', '.join(ANATOMIES)}")
    if not 0 <= dose <= LARGEST_DOSE:
        raise InputError(f"dose={dose:g}: expected 0 to {LARGEST_DOSE:g} of the volume")
    base = ANATOMIES[anatomy](**options)
    first_set = next(iter(base.label_sets))
    sides = list(find_labels(base, structure))
    sources = {s.subject: s for s in reversed(base.scans)}
    sources = {s.id: s for s in reversed(sources.values())}
    scans = tuple(
        Scan(f"{source.id} {time}", source.subject, source.group)
        for source in sources.values()
        for time in TIMES
    )

    def split(scan: Scan) -> tuple[Scan, int]:
        source, _, time = scan.id.rpartition(" ")
        return sources[source], TIMES[time]

    def get_flows(source: Scan) -> dict[str, np.ndarray]:
        def make() -> dict[str, np.ndarray]:
            labels = base.load_labels(source, first_set)
            change = STRUCTURES[structure][1] * dose
            return solve_change(labels.data, sides, np.array(labels.spacing_mm), change)

        name = f"flows-{GENERATOR}-{structure}-{dose:g}-{base.fingerprint(source)}"
        return keep_arrays("atrophy", name, make)

    def to_source(source: Scan, time: int, grid: Volume) -> np.ndarray:
        """Where in the scan a time point looks, (3, X, Y, Z)."""
        motion = _half_motion(source, np.array(grid.spacing_mm), grid.shape, noise_seed)
        points = apply_matrix(
            motion if time > 0 else np.linalg.inv(motion), identity_grid(grid.shape)
        )
        return _flow(get_flows(source), "second" if time > 0 else "first", points)

    def from_source(source: Scan, time: int, grid: Volume, points: np.ndarray) -> np.ndarray:
        """Where a time point shows these positions of the scan: the inverse."""
        motion = _half_motion(source, np.array(grid.spacing_mm), grid.shape, noise_seed)
        there = _flow(get_flows(source), "first" if time > 0 else "second", points)
        return apply_matrix(np.linalg.inv(motion) if time > 0 else motion, there)

    def generate(scan: Scan) -> dict[str, np.ndarray]:
        source, time = split(scan)
        image = base.load_image(source)
        grid, there = identity_grid(image.shape), to_source(source, time, image)
        labels = warp_labels(base.load_labels(source, first_set).data, there - grid, "linear")
        seen = sample(image.data / np.percentile(image.data[image.data > 0], 99), there, order=3)
        brain = warp_labels((image.data > 0).astype(np.int16), there - grid, "linear")
        seen = np.where(brain, np.maximum(seen, 1e-6), 0)
        rng = make_rng(noise_seed, scan.id, "atrophy")
        noisy = degrade(seen, rng, spacing_mm=image.spacing_mm, bias=BIAS, noise=NOISE)
        return {"image": noisy, first_set: labels}

    def fingerprint(scan: Scan) -> str:
        source, _ = split(scan)
        how = f"{GENERATOR}-{structure}-{dose:g}-{noise_seed}-{scan.id.rpartition(' ')[2]}"
        return f"atrophy-{how}-{base.fingerprint(source)}"

    def load(scan: Scan, name: str) -> Volume:
        arrays = keep_arrays("atrophy", fingerprint(scan), lambda: generate(scan))
        affine = base.load_image(split(scan)[0]).affine
        return Volume(arrays[name], affine, f"atrophy {scan.id} {name}")

    def true_displacement(pair: Pair) -> np.ndarray:
        (source, start), (other, end) = split(pair.fixed), split(pair.moving)
        if source != other:
            raise InputError(f"{pair.id}: the true map is known between time points of one scan")
        grid = base.load_image(source)
        there = from_source(source, end, grid, to_source(source, start, grid))
        return there - identity_grid(grid.shape)

    return Cohort(
        "atrophy",
        scans,
        lambda scan: load(scan, "image"),
        lambda scan, label_set=first_set: load(scan, label_set),
        {first_set: base.label_sets[first_set]},
        fingerprint,
        {
            "anatomy": anatomy,
            "structure": structure,
            "dose": dose,
            "noise_seed": noise_seed,
            **options,
        },
        true_displacement,
        reference=base.reference,
        sources=lambda scan: base.sources(split(scan)[0]),
        title="one brain before and after a known atrophy",
        limits=(
            "Both time points come from one scan and share its noise: two real scans of one person "
            "differ more.",
            "Atrophy is radial and smooth; disease is neither.",
            *base.limits,
        ),
        label_words=base.label_words,
    )
