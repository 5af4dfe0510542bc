"""Everything that is measured of one registration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from ..errors import InputError
from ..images.warp import warp_labels
from ._checks import check_spacing
from ._jacobian import compute_field_measures
from ._overlap import compute_overlap, compute_soft_overlap, find_common_labels
from ._surface import compute_hd95_table

COLUMNS = ("label_set", "rule", "label", "n_fixed", "n_moved", "dice", "hd95_mm", "hd95_voxel")


def score_case(
    displacement: np.ndarray,
    label_sets: Mapping[str, tuple[np.ndarray, np.ndarray]],
    spacing_mm: Iterable[float],
    *,
    true_displacement: np.ndarray | None = None,
) -> tuple[dict[str, float], pd.DataFrame]:
    """Everything the ruler measures of one displacement on the native fixed grid.

    Parameters
    ----------
    displacement : (3, X, Y, Z) float array
        Voxels, moved(x) = moving(x + displacement(x)).
    label_sets : mapping
        Name -> label maps (fixed, moving), fixed on the grid of the displacement, moving on its
        own. The first is the one that the mean Dice, the mask of the field measures and the label
        set "brain", the union of its structures, are taken from.
    spacing_mm : three floats
        Voxel size of the fixed grid.
    true_displacement : (3, X, Y, Z) float array, optional
        Where the correspondence is known.

    Returns
    -------
    measures : dict
        Of the field, inside the fixed brain (see `compute_field_measures`), the count of labels
        compared and lost, and mean Dice; with a true displacement the mean error inside the brain
        in mm.
    structures : DataFrame
        label_set, rule ("nearest", "linear", "soft"), label, n_fixed, n_moved, dice, hd95_mm,
        hd95_voxel. Labels are those of both maps before warping; label 0 is the background.

    Raises
    ------
    InputError
        If two maps share no label, or shapes disagree.
    """
    spacing = check_spacing(spacing_mm)
    tables: list[pd.DataFrame] = []
    measures: dict[str, float] = {}
    for number, (label_set, (fixed, moving)) in enumerate(label_sets.items()):
        common = find_common_labels(fixed, moving)
        if not common:
            raise InputError(
                f"the maps {label_set!r} share no label; are they of the same protocol?"
            )
        moved = {rule: warp_labels(moving, displacement, rule) for rule in ("nearest", "linear")}
        for rule, labels in moved.items():
            table = compute_overlap(fixed, labels, [0, *common])
            if rule == "nearest":
                table = table.join(compute_hd95_table(fixed, labels, common, spacing))
            tables.append(table.assign(label_set=label_set, rule=rule))
        soft = compute_soft_overlap(fixed, moving, displacement, [0, *common])
        soft = soft.rename(columns={"soft_dice": "dice"})
        tables.append(soft.assign(label_set=label_set, rule="soft"))
        if number == 0:
            brain = fixed > 0
            whole = compute_overlap(brain.astype(int), (moved["nearest"] > 0).astype(int), [1])
            tables.append(whole.assign(label_set="brain", rule="nearest"))
            first = tables[0].drop(index=0)
            measures = {
                "dice": float(first["dice"].mean()),
                "n_labels": len(common),
                "n_lost": int(first["lost"].sum()),
                **compute_field_measures(displacement, brain),
            }
            if true_displacement is not None:
                error = displacement - true_displacement
                distance = np.sqrt(
                    ((error * np.array(spacing, np.float32).reshape(3, 1, 1, 1)) ** 2).sum(axis=0)
                )[brain]
                measures["true_error_mm"] = float(distance.mean())
    structures = pd.concat([t.rename_axis("label").reset_index() for t in tables])
    return measures, structures.reindex(columns=COLUMNS).reset_index(drop=True)
