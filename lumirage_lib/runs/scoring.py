"""What is measured and shown of a registration of two scans of a cohort."""

import io

import numpy as np
import pandas as pd

from ..cohorts import Cohort, Pair
from ..errors import InputError
from ..images.warp import warp_image, warp_labels
from ..metrics import score_case


def score(
    cohort: Cohort,
    pair: Pair,
    displacement: np.ndarray,
    *,
    images: tuple[np.ndarray, np.ndarray] | None = None,
    backward: np.ndarray | None = None,
) -> tuple[dict[str, float], pd.DataFrame]:
    """:func:`lumirage_lib.metrics.score_case` with all label maps that the cohort has of a pair."""
    volumes = {
        name: [cohort.load_labels(scan, name) for scan in (pair.fixed, pair.moving)]
        for name in cohort.label_sets
        if cohort.has_labels(pair, name)
    }
    if not volumes:
        raise InputError(f"{cohort.name}: no label set that both scans of {pair.id} have")
    fixed, moving = next(iter(volumes.values()))
    truth = cohort.true_displacement
    return score_case(
        displacement,
        {name: (fixed.data, moving.data) for name, (fixed, moving) in volumes.items()},
        fixed.spacing_mm,
        moving_spacing_mm=moving.spacing_mm,
        images=images,
        true_displacement=None if truth is None else truth(pair),
        backward=backward,
    )


def display_slices(cohort: Cohort, pair: Pair, displacement: np.ndarray) -> bytes:
    """Three middle slices of fixed, moved and moved labels, 8 bit, compressed: for the panels."""
    fixed, moving = cohort.load_image(pair.fixed), cohort.load_image(pair.moving)
    first = next(iter(cohort.label_sets))
    labels = [cohort.load_labels(scan, first) for scan in (pair.fixed, pair.moving)]
    images = {
        "fixed": fixed.data,
        "moved": warp_image(moving.data, displacement),
        "fixed_labels": labels[0].data,
        "moved_labels": warp_labels(labels[1].data, displacement),
    }
    centre = [int(np.median(c)) for c in np.nonzero(labels[0].data)]
    arrays = {}
    for name, data in images.items():
        top = 255 / max(float(np.percentile(data, 99.9)), 1e-9)
        for axis, plane in enumerate(("sagittal", "coronal", "axial")):
            cut = np.take(data, centre[axis], axis)
            arrays[f"{name}_{plane}"] = (
                cut.astype(np.uint8)
                if name.endswith("labels")
                else np.clip(cut * top, 0, 255).astype(np.uint8)
            )
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
