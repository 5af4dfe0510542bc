"""Dice and soft Dice: definitions, properties, and labels that are absent or lost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import map_coordinates

from lumirage_lib.errors import InputError
from lumirage_lib.images.warp import warp_labels
from lumirage_lib.metrics import compute_overlap, compute_soft_overlap, find_common_labels

SHAPE = (6, 5, 7)
label_maps = hnp.arrays(np.uint8, SHAPE, elements=st.integers(0, 4))
few = settings(max_examples=25, deadline=None)
displacements = hnp.arrays(np.float32, (3, *SHAPE), elements=st.floats(-3, 3, width=32))


def dice_by_masks(fixed, moved, label):
    f, m = fixed == label, moved == label
    return 2 * (f & m).sum() / (f.sum() + m.sum()) if f.any() else np.nan


def soft_dice_by_one_hot(fixed, moving, displacement, label):
    """The definition, literally: one interpolated one-hot volume for the label."""
    f = fixed == label
    points = np.indices(fixed.shape) + displacement.astype(float)
    weight = map_coordinates(
        (moving == label).astype(float), points, order=1, mode="grid-constant", cval=label == 0
    )
    return 2 * weight[f].sum() / (f.sum() + weight.sum()) if f.any() else np.nan


@few
@given(label_maps, label_maps)
def test_dice_is_that_of_the_masks(fixed, moved):
    table = compute_overlap(fixed, moved, range(6))
    expected = [dice_by_masks(fixed, moved, label) for label in range(6)]
    np.testing.assert_allclose(table["dice"], expected)
    assert list(table["n_moved"]) == [int((moved == label).sum()) for label in range(6)]


@few
@given(label_maps)
def test_identity_overlaps_fully(labels):
    table = compute_overlap(labels, labels)
    assert (table["dice"] == 1).all()
    assert not table["lost"].any()


@few
@given(label_maps, label_maps)
def test_dice_is_symmetric_where_both_maps_have_the_label(fixed, moved):
    there, back = compute_overlap(fixed, moved), compute_overlap(moved, fixed)
    both = there["dice"].notna() & back["dice"].notna()
    np.testing.assert_array_equal(there["dice"][both], back["dice"][both])


@few
@given(label_maps, label_maps, st.permutations(range(1, 5)))
def test_dice_follows_a_permutation_of_labels(fixed, moved, order):
    renamed = np.array([0, *order], np.uint8)
    before = compute_overlap(fixed, moved, range(1, 5))["dice"]
    after = compute_overlap(renamed[fixed], renamed[moved], order)["dice"]
    np.testing.assert_array_equal(before, after)


@few
@given(label_maps, label_maps, st.integers(0, 2))
def test_dice_is_unchanged_by_a_common_translation(fixed, moved, axis):
    fixed, moved = np.pad(fixed, 1), np.pad(moved, 1)
    before = compute_overlap(fixed, moved)["dice"]
    after = compute_overlap(np.roll(fixed, 1, axis), np.roll(moved, 1, axis))["dice"]
    np.testing.assert_array_equal(before, after)


def test_default_labels_are_those_of_either_map_without_background():
    fixed, moved = np.zeros((2, *SHAPE), np.int16)
    fixed[0], moved[1] = 3, 700
    table = compute_overlap(fixed, moved)
    assert list(table.index) == [3, 700]
    assert np.isnan(table.loc[700, "dice"])  # nothing of it in the fixed image
    assert table.loc[3, "dice"] == 0


def test_trap_lost_structure_counts_as_zero_and_is_flagged():
    """A structure that the warp loses must not vanish from the mean."""
    fixed, moved = np.zeros((2, *SHAPE), np.int16)
    fixed[1:3], fixed[4] = 1, 2
    moved[1:3] = 1
    table = compute_overlap(fixed, moved, [1, 2, 9])
    assert list(table["lost"]) == [False, True, False]
    np.testing.assert_array_equal(table["dice"], [1, 0, np.nan])
    assert table["dice"].mean() == 0.5


def test_trap_background_is_not_in_the_mean_unless_asked_for():
    fixed, moved = np.zeros((2, *SHAPE), np.int16)
    fixed[2, 2, 2], moved[3, 3, 3] = 1, 1
    assert compute_overlap(fixed, moved)["dice"].mean() == 0
    assert find_common_labels(fixed, moved) == [1]
    assert compute_overlap(fixed, moved, [0, 1])["dice"].mean() > 0.49


def test_maps_in_fortran_order_and_as_whole_floats_count_the_same(rng):
    fixed, moved = rng.integers(0, 4, (2, *SHAPE))
    expected = compute_overlap(fixed, moved)
    for changed in (np.asfortranarray(moved), moved.astype(float)):
        assert compute_overlap(np.asfortranarray(fixed), changed).equals(expected)


@pytest.mark.parametrize("bad", [0.5, np.nan, -1.0])
def test_maps_that_are_no_labels_are_refused(bad):
    labels = np.zeros(SHAPE)
    labels[0, 0, 0] = bad
    with pytest.raises(InputError, match="moved_labels"):
        compute_overlap(np.zeros(SHAPE, int), labels)


def test_maps_on_different_grids_are_refused():
    with pytest.raises(InputError, match="shape"):
        compute_overlap(np.zeros((4, 4, 4), int), np.zeros((4, 4, 5), int))


@few
@given(label_maps, label_maps, displacements)
def test_soft_dice_is_that_of_one_hot_volumes(fixed, moving, displacement):
    table = compute_soft_overlap(fixed, moving, displacement, range(6))
    expected = [soft_dice_by_one_hot(fixed, moving, displacement, label) for label in range(6)]
    np.testing.assert_allclose(table["soft_dice"], expected, atol=1e-9)


def test_soft_dice_with_a_moving_grid_of_its_own(rng):
    fixed, moving = rng.integers(0, 3, (4, 5, 6)), rng.integers(0, 3, (7, 4, 9))
    displacement = rng.uniform(-2, 2, (3, 4, 5, 6)).astype(np.float32)
    table = compute_soft_overlap(
        np.asfortranarray(fixed), np.asfortranarray(moving), displacement, [1]
    )
    expected = soft_dice_by_one_hot(fixed, moving, displacement, 1)
    assert table.loc[1, "soft_dice"] == pytest.approx(expected)


@few
@given(label_maps, label_maps)
def test_soft_dice_of_whole_steps_is_hard_dice(fixed, moving):
    displacement = np.ones((3, *SHAPE), np.float32)
    soft = compute_soft_overlap(fixed, moving, displacement, range(5))
    hard = compute_overlap(fixed, warp_labels(moving, displacement), range(5))
    np.testing.assert_allclose(soft["soft_dice"], hard["dice"])
    np.testing.assert_array_equal(soft["lost"], hard["lost"])


def test_slabs_make_no_difference(rng, monkeypatch):
    fixed, moving = rng.integers(0, 3, (2, *SHAPE))
    displacement = rng.uniform(-2, 2, (3, *SHAPE)).astype(np.float32)
    whole = compute_soft_overlap(fixed, moving, displacement, range(3))
    monkeypatch.setattr("lumirage_lib.metrics._votes.SLAB_VOXELS", 1)
    sliced = compute_soft_overlap(fixed, moving, displacement, range(3))
    pd.testing.assert_frame_equal(whole, sliced)
