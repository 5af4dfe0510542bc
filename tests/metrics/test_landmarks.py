"""Errors at landmarks, against the truth and against the inverse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lumirage_lib.errors import InputError
from lumirage_lib.metrics import (
    compute_centroid_tre,
    compute_inverse_consistency,
    compute_lumir24_tre,
    compute_tre,
    find_centroids,
)

SHAPE = (12, 10, 14)
SPACING_MM = (1.0, 1.2, 0.8)
EVERYWHERE = np.ones(SHAPE, bool)
shifts = st.tuples(*[st.floats(-3, 3, width=32)] * 3)


def constant(shift) -> np.ndarray:
    return np.broadcast_to(np.reshape(shift, (3, 1, 1, 1)), (3, *SHAPE)).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(shifts, shifts)
def test_tre_is_the_distance_left_in_mm(true_shift, shift):
    fixed = np.array([[3.5, 4.0, 5.2], [6.1, 2.2, 7.7]])
    moving = fixed + true_shift
    tre = compute_tre(constant(shift), fixed, moving, SPACING_MM)
    expected = np.linalg.norm(np.subtract(shift, true_shift) * SPACING_MM)
    np.testing.assert_allclose(tre, expected, atol=1e-5)


def test_tre_reads_the_field_between_voxels():
    displacement = np.indices(SHAPE).astype(np.float32)  # u(x) = x, which linear order gets right
    points = np.array([[2.25, 3.5, 4.75]])
    assert compute_tre(displacement, points, 2 * points, (1, 1, 1)) == pytest.approx(0, abs=1e-6)


def test_tre_of_points_off_the_grid_is_nan_alone():
    points = np.array([[3.0, 3, 3], [3, 3, 40], [np.nan, 3, 3]])
    tre = compute_tre(constant((0, 0, 0)), points, points, (1, 1, 1))
    np.testing.assert_array_equal(tre, [0, np.nan, np.nan])


def test_points_that_do_not_correspond_are_refused():
    with pytest.raises(InputError, match="moving_points"):
        compute_tre(constant((0, 0, 0)), np.zeros((3, 3)), np.zeros((2, 3)), (1, 1, 1))
    with pytest.raises(InputError, match="fixed_points"):
        compute_tre(constant((0, 0, 0)), np.zeros(3), np.zeros(3), (1, 1, 1))


def test_centroids_are_scipy_s(rng):
    labels = rng.integers(0, 5, SHAPE)
    expected = ndimage.center_of_mass(np.ones(SHAPE), labels, [3, 1, 0])
    np.testing.assert_allclose(find_centroids(labels, [3, 1, 0]), expected)
    assert np.isnan(find_centroids(labels, [9])).all()


def landmark_maps(shift):
    """Two 2 x 2 x 2 blobs, and the same ones `shift` voxels on along the first axis."""
    fixed, moving = np.zeros((2, *SHAPE), int)
    for label, start in ((1, 2), (2, 6)):
        fixed[start : start + 2, 4:6, 4:6] = label
        moving[start + shift : start + shift + 2, 4:6, 4:6] = label
    return fixed, moving


def test_centroid_tre_is_in_mm_and_nan_where_a_label_is_absent():
    fixed, moving = landmark_maps(shift=2)
    tre = compute_centroid_tre(fixed, moving, constant((0, 0, 0)), [1, 2, 3], (2.5, 1, 1))
    np.testing.assert_allclose(tre, [5, 5, np.nan])


def test_trap_centroids_of_nearest_warped_blobs():
    """The warp rounds: 0.4 voxel of error vanish, and a blob squeezed between voxels is lost."""
    fixed, moving = landmark_maps(shift=2)
    nearly = constant((1.6, 0, 0))
    assert compute_lumir24_tre(fixed, moving, nearly) == 0
    points = compute_centroid_tre(fixed, moving, nearly, [1, 2], (1, 1, 1))
    np.testing.assert_allclose(points, 0.4, atol=1e-6)

    squeezed = constant((2, 0, 0)).copy()
    squeezed[0, 2:4] = -20  # nothing of blob 1 is looked up any more
    assert np.isnan(compute_lumir24_tre(fixed, moving, squeezed))
    points = compute_centroid_tre(fixed, moving, squeezed, [1, 2], (1, 1, 1))
    assert np.isfinite(points).all()


def test_opposite_shifts_are_inverse_to_each_other():
    measures = compute_inverse_consistency(
        constant((2, 0, 0)), constant((-2, 0, 0)), EVERYWHERE, SPACING_MM
    )
    assert measures["ice_max_mm"] == 0
    assert measures["ice_outside_fraction"] == pytest.approx(2 / SHAPE[0])


def test_inverse_consistency_is_in_mm_of_the_fixed_grid():
    measures = compute_inverse_consistency(
        constant((0, 1, 0)), constant((0, 0, 0)), EVERYWHERE, SPACING_MM
    )
    assert measures["ice_mean_mm"] == pytest.approx(1.2)


def test_scaling_and_its_inverse():
    forward = 0.25 * np.indices(SHAPE)  # x -> 1.25 x
    larger = tuple(int(1.25 * n) + 2 for n in SHAPE)  # the moving grid may be another
    backward = -0.2 * np.indices(larger)
    measures = compute_inverse_consistency(forward, backward, EVERYWHERE, (1, 1, 1))
    assert measures["ice_max_mm"] == pytest.approx(0, abs=1e-5)
    assert measures["ice_outside_fraction"] == 0


def test_mapping_that_leaves_the_grid_has_no_error_but_says_so():
    measures = compute_inverse_consistency(
        constant((50, 0, 0)), constant((0, 0, 0)), EVERYWHERE, (1, 1, 1)
    )
    assert measures["ice_outside_fraction"] == 1
    assert np.isnan(measures["ice_mean_mm"])


def test_empty_mask_is_refused():
    with pytest.raises(InputError, match="mask"):
        compute_inverse_consistency(*[constant((0, 0, 0))] * 2, np.zeros(SHAPE), SPACING_MM)
