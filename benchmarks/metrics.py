"""Dice, HD95, non-diffeomorphic volume and SD log J of one real pair: ours and the usual way.

    LUMIRAGE_MIRROR=... python benchmarks/metrics.py

OASIS scans 1000 and 1001 at 1 mm with their 138 common manual labels. The displacement needs no
registration: it fits one brain's bounding box to the other's and adds smooth noise. Surfaces are
then farther apart than after a real registration, which is the harder case for our HD95.

Each contender runs alone in a fresh process on one thread. "usual" is a loop over labels with the
package surface-distance and determinants by scipy.ndimage.correlate over whole volumes, the way
the challenge's evaluation goes about it; "monai" is a loop over labels with MONAI's Dice and
Hausdorff distance, timed if MONAI is installed. CPU seconds are the ones to compare on a busy
machine.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from itertools import product
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import numpy as np
import surface_distance
from scipy import ndimage

from lumirage_lib import metrics
from lumirage_lib.cohorts import Pair, get_cohort
from lumirage_lib.cohorts.sources import fetch, get_source
from lumirage_lib.images.volumes import load_volume
from lumirage_lib.images.warp import warp_labels
from lumirage_lib.runs import child

Result = tuple[np.ndarray, np.ndarray, float, float]  # Dice, HD95 (voxels), NDV (voxels), SD log J


def load_pair() -> tuple[np.ndarray, np.ndarray, np.ndarray, list[int]]:
    """Fixed labels, moved labels, displacement, and the labels both images have."""
    fixed, moving = (
        load_volume(
            fetch(get_source("muschellij2/malf.templates", f"inst/extdata/{scan}_glm.nii.gz")),
            labels=True,
        ).data
        for scan in (1000, 1001)
    )
    (f_low, f_high), (m_low, m_high) = (
        (np.min(np.nonzero(v), 1), np.max(np.nonzero(v), 1)) for v in (fixed, moving)
    )
    grid = np.indices(fixed.shape, dtype=np.float32)
    low, scale = (np.reshape(v, (3, 1, 1, 1)) for v in (f_low, (m_high - m_low) / (f_high - f_low)))
    displacement = (grid - low) * scale + m_low.reshape(3, 1, 1, 1) - grid
    noise = np.random.default_rng(0).normal(0, 2.5, (3, 16, 20, 16))
    zoom = np.divide(fixed.shape, noise.shape[1:])
    displacement += np.stack([ndimage.zoom(component, zoom, order=3) for component in noise])
    displacement = displacement.astype(np.float32)
    labels = metrics.find_common_labels(fixed, moving)
    return fixed, warp_labels(moving, displacement), displacement, labels


def measure_ours(fixed, moved, displacement, labels) -> Result:
    dice = metrics.compute_overlap(fixed, moved, labels)["dice"].to_numpy()
    hd95 = metrics.compute_hd95(fixed, moved, labels, (1, 1, 1)).to_numpy()
    field = metrics.compute_field_measures(displacement, fixed > 0)
    return dice, hd95, field["ndv_voxels"], field["sd_log_j"]


def measure_as_usual(fixed, moved, displacement, labels) -> Result:
    dice, hd95 = [], []
    for label in labels:
        masks = fixed == label, moved == label
        dice.append(surface_distance.compute_dice_coefficient(*masks))
        distances = surface_distance.compute_surface_distances(*masks, (1, 1, 1))
        hd95.append(surface_distance.compute_robust_hausdorff(distances, 95))
    points = displacement + np.indices(fixed.shape).astype(np.float64)
    mask = (fixed > 0)[1:-1, 1:-1, 1:-1]
    lost = sum(
        -np.minimum(correlate_determinant(points, edges)[mask], 0).sum() / 12
        for edges in tetrahedra()
    )
    axes = np.eye(3, dtype=int)
    central = correlate_determinant(points, axes, central=True)[mask]
    return np.array(dice), np.array(hd95), lost, np.log(np.maximum(central, 1e-9)).std()


def tetrahedra() -> list[np.ndarray]:
    """Three edges of each of the ten tetrahedra of the digital diffeomorphism, right-handed."""
    axes = [np.diag(signs) for signs in product((1, -1), repeat=3)]
    diagonals = [s * np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]]) for s in (1, -1)]
    return axes + diagonals


def correlate_determinant(points: np.ndarray, edges: np.ndarray, central=False) -> np.ndarray:
    """Determinant of the differences along three edges, positive where nothing folds."""
    columns = []
    for edge in edges:
        kernel = np.zeros((3, 3, 3))
        kernel[tuple(1 + edge)] += 0.5 if central else 1
        kernel[tuple(1 - edge) if central else (1, 1, 1)] -= 0.5 if central else 1
        kernel = kernel[tuple(slice(None) if e else slice(1, 2) for e in edge)]
        columns.append([ndimage.correlate(component, kernel) for component in points])
    (a, b, c), (d, e, f), (g, h, i) = columns
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return determinant[1:-1, 1:-1, 1:-1] * np.sign(np.linalg.det(edges))


def measure_with_monai(fixed, moved, displacement, labels) -> Result:
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance

    torch.set_num_threads(1)
    dice, hd95 = [], []
    for label in labels:
        masks = [torch.from_numpy(m == label)[None, None].float() for m in (moved, fixed)]
        dice.append(float(compute_dice(*masks)))
        hd95.append(
            float(compute_hausdorff_distance(*masks, include_background=True, percentile=95))
        )
    return np.array(dice), np.array(hd95), np.nan, np.nan


def measure_scoring(displacement: np.ndarray) -> float:
    """CPU seconds of everything the runs measure of one registration, fastest of three."""
    cohort = get_cohort("oasis")
    pair = Pair(cohort.scan("1000"), cohort.scan("1001"))
    sets = {
        name: tuple(cohort.load_labels(scan, name).data for scan in (pair.fixed, pair.moving))
        for name in ("manual", "tissues")
    }
    spent = []
    for _ in range(3):
        with child.measure() as usage:
            metrics.score_case(displacement, sets, (1, 1, 1))
        spent.append(usage.cpu_seconds)
    return min(spent)


def run(measure: Callable[..., Result], pair: Path, queue) -> None:
    with np.load(pair) as arrays:
        arguments = [arrays[name] for name in ("fixed", "moved", "displacement", "labels")]
    with child.measure() as usage:
        result = measure(*arguments)
    queue.put((result, usage))


def run_alone(measure: Callable[..., Result], pair: Path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=run, args=(measure, pair, queue))
    process.start()
    answer = queue.get()
    process.join()
    return answer


def main() -> None:
    contenders = {"ours": measure_ours, "usual": measure_as_usual}
    if find_spec("monai"):
        contenders["monai"] = measure_with_monai
    else:
        print("monai: not installed, not timed")
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder) / "pair.npz"
        fixed, moved, displacement, labels = load_pair()
        np.savez(pair, fixed=fixed, moved=moved, displacement=displacement, labels=labels)
        scoring = measure_scoring(displacement)
        results = {name: run_alone(measure, pair) for name, measure in contenders.items()}
    (dice, hd95, ndv, sd_log_j), ours = results["ours"]
    print(
        f"{len(dice)} labels: Dice {dice.mean():.4f}, HD95 {np.nanmean(hd95):.2f} voxels, "
        f"NDV {ndv:.2f} voxels, SD log J {sd_log_j:.4f}"
    )
    print("contender  wall s  CPU s  peak MB   wall / ours  CPU / ours")
    for name, (_, it) in results.items():
        print(
            f"{name:9} {it.seconds:7.2f} {it.cpu_seconds:6.2f} {it.peak_mb:8.0f} "
            f"{it.seconds / ours.seconds:13.1f} {it.cpu_seconds / ours.cpu_seconds:11.1f}"
        )
    print(f"whole scoring, every rule, manual labels and tissues: {scoring:.2f} CPU s")
    other = results["usual"][0]
    print(
        f"largest difference to the usual way: Dice {np.abs(dice - other[0]).max():.1e}, "
        f"HD95 {np.abs(hd95 - other[1]).max():.1e} voxels, "
        f"NDV {abs(ndv / other[2] - 1):.1e} relative, SD log J {abs(sd_log_j - other[3]):.1e}"
    )


if __name__ == "__main__":
    main()
