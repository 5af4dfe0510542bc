"""Our numbers against those the challenge's official code returned on the same arrays."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lumirage_lib.metrics import (
    compute_field_measures,
    compute_hd95,
    compute_jacobian_determinant,
    compute_overlap,
    compute_tre,
    measure_lumir24,
)

pytestmark = pytest.mark.golden


@pytest.fixture(scope="module")
def arrays(golden) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "lumir_metrics.npz"))


@pytest.fixture(scope="module")
def official(golden) -> dict:
    return json.loads((golden / "lumir_metrics.json").read_text())


def test_dice(arrays, official):
    table = compute_overlap(arrays["fixed_labels"], arrays["warped_labels"], official["labels"])
    expected = np.array(official["dice"], float)  # null where the moving image lacks the label
    known = ~np.isnan(expected)
    np.testing.assert_allclose(table["dice"][known], expected[known], rtol=0, atol=1e-9)


def test_hd95(arrays, official):
    hd95 = compute_hd95(
        arrays["fixed_labels"], arrays["warped_labels"], official["labels"], (1, 1, 1)
    )
    np.testing.assert_allclose(hd95, np.array(official["hd95_voxel"], float), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("moving_labels", ("ndv_volume", "ndv_percent_of_mask")),
        ("fixed_labels", ("ndv_volume_fixed_mask", "ndv_percent_fixed_mask")),
    ],
)
def test_non_diffeomorphic_volume(arrays, official, labels, expected):
    measures = compute_field_measures(arrays["displacement"], arrays[labels] > 0)
    for ours, theirs in zip(("ndv_voxels", "ndv_percent"), expected, strict=True):
        assert measures[ours] == pytest.approx(official[theirs], rel=1e-4)


def test_non_diffeomorphic_tetrahedra(arrays, official):
    measures = compute_field_measures(arrays["displacement"], arrays["moving_labels"] > 0)
    assert measures["nonpositive_tetrahedra"] == pytest.approx(official["ndv_tetrahedra"], rel=1e-4)


def test_central_determinant(arrays, official):
    determinant = compute_jacobian_determinant(arrays["displacement"])[1:-1, 1:-1, 1:-1]
    assert list(determinant.shape) == official["jacobian_central_shape"]
    folded = float((determinant <= 0).mean())
    assert folded == pytest.approx(official["jacobian_nonpositive_fraction"], rel=1e-4)


def test_tre_of_points(arrays, official):
    tre = compute_tre(
        arrays["displacement"],
        official["tre_fixed_points_vox"],
        official["tre_moving_points_vox"],
        official["tre_spacing_moving_mm"],
        order=3,
    )
    np.testing.assert_allclose(tre, official["tre_mm"], rtol=0, atol=1e-6)


def test_lumir24_protocol(arrays, official):
    """From the labels before warping to the challenge's means, its own warp included."""
    measures, table = measure_lumir24(
        arrays["fixed_labels"],
        arrays["moving_labels"],
        arrays["displacement"],
        arrays["moving_labels"],
        official["labels"],
    )
    for column, theirs, atol in (("dice", "dice", 1e-9), ("hd95_voxel", "hd95_voxel", 1e-6)):
        expected = np.array(official[theirs], float)
        np.testing.assert_allclose(table[column], expected, rtol=0, atol=atol)
    assert measures["dice"] == pytest.approx(official["mean_dice"], abs=1e-9)
    assert measures["hd95_voxel"] == pytest.approx(official["mean_hd95"], abs=1e-6)
    assert measures["ndv_percent"] == pytest.approx(official["ndv_percent_of_mask"], rel=1e-4)
    assert measures["sd_log_j_plus3"] == pytest.approx(official["sdlogj_official_plus3"], abs=1e-6)
