"""The one scorer: everything that is measured of a registration."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from ..errors import InputError
from ..images.warp import check_displacement
from ._checks import check_labels, check_spacing, to_codes, to_label_list
from ._jacobian import group_jacobian, measure_field
from ._landmarks import compute_inverse_consistency
from ._overlap import compute_overlap, tabulate
from ._similarity import compute_correlation
from ._surface import compute_hd95_table
from ._votes import count_by_rules

RULES = ("nearest", "linear", "soft")
# Raised when what is measured of a displacement changes; rows of an older ruler are measured again
# where their displacement is kept.
RULER = 2
# What a row of the structures table measures, beside its label set, rule and label.
STRUCTURE_MEASURES = (
    *("n_fixed", "n_moved", "dice", "hd95_mm", "hd95_voxel"),
    *("n_moving", "j_mean", "log_j_mean", "log_j_sd"),
)
# What is measured of every displacement, whatever is known of the pair.
FIELD_MEASURES = (
    *("dice", "n_labels", "n_lost", "fixed_voxel_mm3", "moving_voxel_mm3", "n_mask"),
    *("ndv_voxels", "ndv_percent", "nonpositive_tetrahedra", "nonpositive_tetrahedra_fraction"),
    *("nonpositive_fraction", "sd_log_j", "sd_log_j_positive"),
)


def score_case(
    displacement: np.ndarray,
    label_sets: Mapping[str, tuple[np.ndarray, np.ndarray]],
    spacing_mm: Iterable[float],
    *,
    rules: Iterable[str] = RULES,
    labels: Iterable[int] | None = None,
    moving_spacing_mm: Iterable[float] | None = None,
    images: tuple[np.ndarray, np.ndarray] | None = None,
    true_displacement: np.ndarray | None = None,
    backward: np.ndarray | None = None,
) -> tuple[dict[str, float], pd.DataFrame]:
    """Measure one displacement on the native fixed grid.

    The mask of all measures of the field and the images is the fixed brain: where the fixed map
    of the first label set is above 0.

    Parameters
    ----------
    displacement : (3, X, Y, Z) float array
        Voxels, moved(x) = moving(x + displacement(x)).
    label_sets : mapping
        Name -> integer label maps (fixed, moving), fixed on the grid of the displacement, moving
        on its own. Means over labels are those of the first set.
    spacing_mm : three floats
        Voxel size of the fixed grid.
    rules : iterable of {"nearest", "linear", "soft"}
        How labels are warped: see `lumirage_lib.images.warp.warp_labels` and
        `compute_soft_overlap`. Distances, volumes and Jacobians stand with the first.
    labels : iterable of int, optional
        Only these labels of the first set.
    moving_spacing_mm : three floats, optional
        Voxel size of the moving grid; by default that of the fixed.
    images : (fixed, moving), optional
        Images on the grids of the label maps, for `correlation`.
    true_displacement : (3, X, Y, Z) float array, optional
        Where the correspondence is known.
    backward : (3, A, B, C) float array, optional
        The displacement of the reverse registration, on the moving grid.

    Returns
    -------
    measures : dict
        dice
            Mean over the labels by the first rule; a lost label counts 0.
        n_labels, n_lost
            Labels both maps have before warping, background left out, and how many of them the
            warp lost.
        fixed_voxel_mm3, moving_voxel_mm3
            What a voxel of `n_fixed` and `n_moved`, and one of `n_moving`, is worth.

        And all of `compute_field_measures`; true_error_mm, mean distance to where the truth leads;
        all of `compute_inverse_consistency`; and `correlation`, each where its input is given.
    structures : DataFrame
        label_set, rule, label and STRUCTURE_MEASURES, a row for each label both maps have before
        warping, and for background 0. The label set "brain" is the union of all structures of the
        first set. NaN is *not measured*: beyond `n_fixed`, `n_moved` and
        `dice`, all stand with the first rule only; of a soft first rule there is no "brain" and no distance.

        n_fixed, n_moved, n_moving
            Voxels (sums of weights where the rule is soft) in the fixed map, in the moved map and
            in the moving map before warping.
        hd95_mm, hd95_voxel
            See `compute_hd95_table`; NaN for background, "brain" and lost labels.
        j_mean
            Mean Jacobian determinant over the structure of the fixed map inside the mask: its
            volume in the moving image, in voxels there, by its voxels here. The volume change
            that the field implies is j_mean moving_voxel_mm3 / fixed_voxel_mm3 - 1.
        log_j_mean, log_j_sd
            Mean and standard deviation of ``log |J|`` there, clipped as `sd_log_j` is.

    Raises
    ------
    InputError
        If there is no label set, two maps share no label, shapes disagree or a field is not finite.

    Examples
    --------
    A cube, registered to itself two voxels away by the right displacement:

    >>> import numpy as np
    >>> fixed = np.zeros((12, 12, 12), int)
    >>> fixed[4:8, 4:8, 4:8] = 7
    >>> moving = np.roll(fixed, 2, axis=0)
    >>> displacement = np.zeros((3, 12, 12, 12), np.float32)
    >>> displacement[0] = 2
    >>> measures, structures = score_case(displacement, {"cube": (fixed, moving)}, (1, 1, 1))
    >>> measures["dice"], measures["ndv_percent"]
    (1.0, 0.0)
    >>> cube = structures[structures.label == 7]
    >>> print(cube[["rule", "dice", "n_moving", "j_mean"]].to_string(index=False))
       rule  dice  n_moving  j_mean
    nearest   1.0      64.0     1.0
     linear   1.0       NaN     NaN
       soft   1.0       NaN     NaN
    """
    spacing = check_spacing(spacing_mm)
    moving_spacing = check_spacing(spacing if moving_spacing_mm is None else moving_spacing_mm)
    rules = list(rules)
    if not label_sets or not rules or not set(rules) <= set(RULES):
        raise InputError(
            f"score_case: expected a label set and rules among {RULES}, got the label sets "
            f"{list(label_sets)} and the rules {rules}."
        )
    coded = {
        name: to_codes(
            check_labels(fixed, f"fixed {name!r}"), check_labels(moving, f"moving {name!r}")
        )
        for name, (fixed, moving) in label_sets.items()
    }
    first = next(iter(coded))
    displacement = check_displacement(displacement, coded[first][1][0].shape)
    mask = coded[first][1][0] > 0
    field, jacobian = measure_field(displacement, mask)

    tables: list[pd.DataFrame] = []
    counted = count_by_rules(
        [(fixed, moving) for _, (fixed, moving) in coded.values()], displacement, rules
    )
    for (name, (values, (fixed, moving))), found in zip(coded.items(), counted, strict=True):
        n_moving = np.bincount(moving.ravel(), minlength=len(values))
        common = (found.counts[rules[0]][0] > 0) & (n_moving > 0) & (values > 0)
        if labels is not None and name == first:
            common &= np.isin(values, to_label_list(labels))
        if not common.any():
            raise InputError(
                f"the maps {name!r} share no label that was asked for; are they of one protocol?"
            )
        codes = np.flatnonzero(common)
        for rule in rules:
            table = tabulate(found.counts[rule], [0, *codes])
            if rule == rules[0]:
                table["n_moving"] = n_moving[table.index]
                table = table.join(group_jacobian(jacobian, mask, fixed, codes))
                if rule in found.moved:
                    table = table.join(compute_hd95_table(fixed, found.moved[rule], codes, spacing))
            tables.append(table.set_axis(values[table.index]).assign(label_set=name, rule=rule))
            if rule == rules[0] and name == first and rule in found.moved:
                whole = compute_overlap(mask, found.moved[rule] > 0, [1])
                whole["n_moving"] = np.count_nonzero(moving)
                whole = whole.join(group_jacobian(jacobian, mask, mask, [1]))
                tables.append(whole.assign(label_set="brain", rule=rule))
    judged = tables[0].drop(index=0)
    measures = {
        "dice": float(judged["dice"].mean()),
        "n_labels": len(judged),
        "n_lost": int(judged["lost"].sum()),
        "fixed_voxel_mm3": float(np.prod(spacing)),
        "moving_voxel_mm3": float(np.prod(moving_spacing)),
        **field,
    }
    if images is not None:
        measures["correlation"] = compute_correlation(*images, displacement, mask)
    if true_displacement is not None:
        truth = check_displacement(true_displacement, mask.shape, "true_displacement")
        # In float32, as the published rows have it.
        error_mm = (displacement - truth) * np.array(moving_spacing, np.float32).reshape(3, 1, 1, 1)
        measures["true_error_mm"] = float(np.sqrt((error_mm**2).sum(axis=0))[mask].mean())
    if backward is not None:
        measures |= compute_inverse_consistency(displacement, backward, mask, spacing)
    structures = pd.concat([t.rename_axis("label").reset_index() for t in tables])
    columns = ["label_set", "rule", "label", *STRUCTURE_MEASURES]
    return measures, structures.reindex(columns=columns).reset_index(drop=True)
