"""Labelled atlases brought onto a scan by a registered method, and how good the fused labels are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from ..cohorts.sources import fetch
from ..images.fusion import Register, carry_atlases, fuse, vote
from ..images.linear import align
from ..images.preprocess import Preprocessing, Step, prepare_pair, step
from ..images.volumes import Volume, resample, rescale_grid
from ..images.warp import to_native
from ..metrics import compute_overlap
from . import get_method, run_method


def register_atlas(
    target: Volume, atlas: Volume, method: str = "greedy", working_mm: float = 2.0
) -> np.ndarray:
    """Displacement (3, X, Y, Z) on the target's grid, by an affine and a method at `working_mm`."""
    fixed, moving = (
        resample(v, *rescale_grid(v.affine, v.shape, working_mm)) for v in (target, atlas)
    )
    world = moving.affine @ align(fixed, moving) @ np.linalg.inv(fixed.affine)
    alignment = np.linalg.inv(atlas.affine) @ world @ target.affine
    steps = (step("crop", margin_mm=4.0), step("set_spacing", spacing_mm=working_mm))
    how = Preprocessing("fusion", (Step("robust"),), "affine", steps)
    images = prepare_pair(target, atlas, how, alignment)
    spec = get_method(method)
    parameters = spec.with_parameters({})
    if spec.weights is not None:
        parameters["weights"] = str(fetch(spec.weights, quiet=True))
    field = run_method(spec, images, parameters)
    return to_native(field, images.to_fixed, images.to_moving, target.shape)


def compute_quality(
    scans: Sequence[str],
    load: Callable[[str], tuple[Volume, Sequence[Volume]]],
    tested: Sequence[str],
    *,
    register: Register = register_atlas,
) -> pd.DataFrame:
    """Leave-one-out: labels of a scan fused from the others, against its own.

    Parameters
    ----------
    scans : sequence of str
        All atlases.
    load : callable
        Scan id -> image and label maps; the first is the one that is scored.
    tested : sequence of str
        Those left out in turn.

    Returns
    -------
    DataFrame
        scan, rule ("joint fusion", "majority vote", "one atlas": the mean over single atlases), dice
        (mean over the labels of the scan; a label that was lost counts 0), n_labels, n_atlases.
    """
    rows = []
    for scan in tested:
        target, (truth, *_) = load(scan)
        others = [s for s in scans if s != scan]
        images, (labels, *rest) = carry_atlases(target, [load(s) for s in others], register)
        ids = [int(v) for v in np.unique(truth.data) if v > 0]
        flat = np.where(target.data > 0, labels, 0).reshape(len(others), -1)
        majority = vote(flat, np.ones((len(others), 1), np.float32)).reshape(target.shape)

        def dice(found: np.ndarray, truth=truth, ids=ids) -> float:
            return float(compute_overlap(truth.data, found, ids)["dice"].fillna(0).mean())

        values = {
            "joint fusion": dice(fuse(target, images, [labels, *rest])[0]),
            "majority vote": dice(majority),
            "one atlas": float(np.mean([dice(one) for one in labels])),
        }
        common = {"scan": scan, "n_labels": len(ids), "n_atlases": len(others)}
        rows += [{**common, "rule": rule, "dice": value} for rule, value in values.items()]
    return pd.DataFrame(rows)[["scan", "rule", "dice", "n_labels", "n_atlases"]]
