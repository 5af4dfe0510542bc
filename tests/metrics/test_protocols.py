"""The default evaluation of a case next to the challenge's: each quirk is shown to be one."""

from __future__ import annotations

import numpy as np
import pytest

from lumirage_lib.metrics import (
    LUMIR24_LABELS,
    compute_field_measures,
    measure_lumir24,
    score_case,
)

SHAPE = (16, 14, 12)
SPACING_MM = (0.5, 0.5, 0.5)
IDENTITY = np.zeros((3, *SHAPE), np.float32)


@pytest.fixture
def fixed() -> np.ndarray:
    labels = np.zeros(SHAPE, np.int16)
    labels[4:8, 3:9, 3:9], labels[8:12, 3:9, 3:9] = 4, 11
    return labels


def score(fixed, moving, displacement, rule: str = "nearest"):
    measures, table = score_case(displacement, {"set": (fixed, moving)}, SPACING_MM, rules=[rule])
    return measures, table[(table.label_set == "set") & (table.label > 0)].set_index("label")


def folding(depth: float) -> np.ndarray:
    """One plane of voxels pulled back far enough to fold."""
    displacement = IDENTITY.copy()
    displacement[0, 7] = -depth
    return displacement


def test_identity_is_perfect_in_both(fixed):
    default, table = score(fixed, fixed, IDENTITY)
    assert (default["dice"], default["ndv_percent"]) == (1, 0)
    assert (table["hd95_mm"] == 0).all()
    assert (default["n_labels"], default["n_lost"]) == (2, 0)
    assert list(table.index) == [4, 11]
    official, _ = measure_lumir24(fixed, fixed, IDENTITY, fixed)
    assert (official["dice"], official["hd95_voxel"], official["ndv_percent"]) == (1, 0, 0)


def test_labels_of_the_challenge():
    assert LUMIR24_LABELS[0] == 0
    assert len(LUMIR24_LABELS) == len(set(LUMIR24_LABELS)) == 133
    assert LUMIR24_LABELS[-1] == 207


def test_trap_background_averaged_into_dice(fixed):
    moving = np.roll(fixed, 2, axis=1)
    default, _ = score(fixed, moving, IDENTITY)
    official, table = measure_lumir24(fixed, moving, IDENTITY, moving)
    assert table.loc[0, "dice"] > 0.9
    assert official["n_labels"] == 3
    assert official["dice"] > default["dice"] + 0.05


def test_trap_hd95_on_unit_spacing(fixed):
    moving = np.roll(fixed, 2, axis=1)
    _, table = score(fixed, moving, IDENTITY)
    _, official = measure_lumir24(fixed, moving, IDENTITY, moving)
    np.testing.assert_allclose(table["hd95_mm"], 0.5 * official.loc[[4, 11], "hd95_voxel"])
    np.testing.assert_allclose(table["hd95_mm"], 0.5 * table["hd95_voxel"])


def test_trap_lost_structure(fixed):
    """Lost in the warp: infinite in the challenge's mean, zero, NaN and counted in ours."""
    moving = np.where(fixed == 11, 0, fixed)
    moving[0, 0, 0] = 11  # there before warping, so it belongs to the labels
    away = IDENTITY.copy()
    away[2, 0, 0, 0] = 5
    default, ours = score(fixed, moving, away)
    assert (default["n_labels"], default["n_lost"]) == (2, 1)
    assert default["dice"] == 0.5
    np.testing.assert_array_equal(ours["hd95_mm"], [0, np.nan])
    official, table = measure_lumir24(fixed, moving, away, moving)
    assert table.loc[11, "dice"] == 0
    assert official["hd95_voxel"] == np.inf
    assert official["n_lost"] == 1


def test_structure_absent_before_warping_is_in_neither_mean(fixed):
    moving = np.where(fixed == 11, 0, fixed)
    default, _ = score(fixed, moving, IDENTITY)
    official, table = measure_lumir24(fixed, moving, IDENTITY, moving)
    assert (default["n_labels"], default["n_lost"], default["dice"]) == (1, 0, 1)
    assert table.loc[11, ["dice", "hd95_voxel"]].isna().all()
    assert (official["n_labels"], official["n_lost"]) == (2, 0)


def test_trap_mask_taken_from_the_moving_image(fixed):
    moving = np.zeros_like(fixed)
    moving[12:, 3:9, 3:9] = 4
    default, _ = score(fixed, moving, folding(4))
    official, _ = measure_lumir24(fixed, moving, folding(4), moving)
    assert default["ndv_percent"] > 1
    assert official["ndv_percent"] == 0


def test_trap_sd_log_j_of_the_determinant_plus_three(fixed):
    """A folded plane hardly moves the challenge's number and dominates the honest one."""
    official, _ = measure_lumir24(fixed, fixed, folding(3), fixed)
    measures = compute_field_measures(folding(3), np.ones(SHAPE))
    assert measures["nonpositive_fraction"] > 0.05
    assert official["sd_log_j_plus3"] < 0.3
    assert measures["sd_log_j"] > 3


def test_linear_label_rule_is_passed_on(fixed):
    half = IDENTITY.copy()
    half[0] = 0.5
    nearest, _ = score(fixed, fixed, half)
    linear, _ = score(fixed, fixed, half, "linear")
    assert nearest["dice"] != linear["dice"]
