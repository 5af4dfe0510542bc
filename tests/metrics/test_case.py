"""The scorer against definitions written out, structure by structure."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

from lumirage_lib.errors import InputError
from lumirage_lib.images.warp import warp_image, warp_labels
from lumirage_lib.metrics import (
    FIELD_MEASURES,
    STRUCTURE_MEASURES,
    compute_inverse_consistency,
    compute_overlap,
    find_centroids,
    score_case,
)
from lumirage_lib.metrics._votes import count_by_rules

SHAPE, SPACING_MM, MOVING_MM = (24, 22, 20), (1.0, 1.5, 2.0), (1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(5)
    noise = ndimage.gaussian_filter(rng.normal(size=(3, *SHAPE)), (0, 2, 2, 2))
    labels = [
        np.digitize(ndimage.gaussian_filter(rng.normal(size=shape), 2) * 10, [0, 0.3, 0.8])
        for shape in (SHAPE, (26, 20, 23))
    ]
    images = [rng.random(m.shape) for m in labels]
    return (6 * noise).astype(np.float32), labels, images


def score(case, **more):
    displacement, labels, images = case
    return score_case(
        displacement,
        {"one": tuple(labels), "other": tuple(m // 2 for m in labels)},
        SPACING_MM,
        moving_spacing_mm=MOVING_MM,
        images=tuple(images),
        **more,
    )


def central_jacobian(displacement):
    """Determinant of the central differences at every voxel off the border."""
    mapping = displacement + np.indices(SHAPE)
    inner = (slice(None), *(slice(1, -1),) * 3)
    gradient = np.stack([np.gradient(mapping, axis=a)[inner] for a in (1, 2, 3)], -1)
    return np.linalg.det(np.moveaxis(gradient, 0, -2))


def test_volumes_and_jacobians_of_every_structure(case):
    displacement, (fixed, moving), _ = case
    _, structures = score(case)
    jacobian = central_jacobian(displacement.astype(np.float64))
    assert jacobian.min() > 0
    inner, moved = fixed[1:-1, 1:-1, 1:-1], warp_labels(moving, displacement)
    table = structures.query("label_set == 'one' and rule == 'nearest'").set_index("label")
    assert list(table.index) == [0, 1, 2, 3]
    for label in (1, 2, 3):
        row, values = table.loc[label], jacobian[inner == label]
        counts = [int((m == label).sum()) for m in (fixed, moving, moved)]
        assert list(row[["n_fixed", "n_moving", "n_moved"]]) == counts
        assert row["j_mean"] == pytest.approx(values.mean(), rel=1e-5)
        assert row["log_j_mean"] == pytest.approx(np.log(values).mean(), rel=1e-4)
        assert row["log_j_sd"] == pytest.approx(np.log(values).std(), rel=1e-4)
    brain = structures.query("label_set == 'brain'").iloc[0]
    assert brain["n_moving"] == (moving > 0).sum()
    assert brain["j_mean"] == pytest.approx(jacobian[inner > 0].mean(), rel=1e-5)


def test_every_set_and_rule_has_its_rows_and_what_is_not_measured_is_nan(case):
    measures, structures = score(case)
    assert list(structures.columns) == ["label_set", "rule", "label", *STRUCTURE_MEASURES]
    assert tuple(measures) == (*FIELD_MEASURES, "correlation")
    sizes = structures.groupby(["label_set", "rule"]).size().to_dict()
    assert sizes == {
        **{("one", rule): 4 for rule in ("nearest", "linear", "soft")},
        **{("other", rule): 2 for rule in ("nearest", "linear", "soft")},
        ("brain", "nearest"): 1,
    }
    first = structures[structures.rule == "nearest"]
    assert first[["n_fixed", "n_moved", "dice", "n_moving"]].notna().all(axis=None)
    assert structures[structures.rule != "nearest"][["n_moving", "hd95_mm"]].isna().all(axis=None)
    assert "true_error_mm" not in measures
    assert "ice_mean_mm" not in measures
    assert (measures["fixed_voxel_mm3"], measures["moving_voxel_mm3"]) == (3.0, 1.0)


def test_correlation_truth_and_inverse_are_measured_where_they_are_at_hand(case):
    displacement, (fixed, moving), (fixed_image, moving_image) = case
    truth = displacement + np.float32([[[[3]]], [[[0]]], [[[4]]]])
    backward = -np.ones((3, *moving.shape), np.float32)
    measures, _ = score(case, true_displacement=truth, backward=backward)
    mask = fixed > 0
    moved = warp_image(moving_image, displacement)
    expected = np.corrcoef(fixed_image[mask], moved[mask])[0, 1]
    assert measures["correlation"] == pytest.approx(expected, abs=1e-6)
    assert measures["true_error_mm"] == pytest.approx(5, rel=1e-5)  # moving voxels are 1 mm
    inverse = compute_inverse_consistency(displacement, backward, mask, SPACING_MM)
    assert {k: measures[k] for k in inverse} == inverse


def test_labels_asked_for_are_those_of_the_first_set(case):
    measures, structures = score(case, labels=[3, 2, 9])
    assert set(structures.query("label_set == 'one'")["label"]) == {0, 2, 3}
    assert measures["n_labels"] == 2


@pytest.mark.parametrize("wrong", [{"rules": ["cubic"]}, {"rules": []}, {"labels": [17]}])
def test_refuses_what_it_cannot_measure(case, wrong):
    with pytest.raises(InputError, match=r"rules|share no label"):
        score(case, **wrong)


def test_maps_on_other_grids_are_refused(case):
    displacement, (fixed, moving), _ = case
    for other in ((fixed, moving[1:]), (fixed[1:], moving)):
        with pytest.raises(InputError, match="grid"):
            score_case(displacement, {"a": (fixed, moving), "b": other}, SPACING_MM)


def test_labels_of_an_atlas_with_numbers_up_to_6e8_cost_no_memory_by_value(case):
    displacement, (fixed, moving), _ = case
    names = np.array([0, 7, 614_454_277, 599_999_999])
    sets = {"plain": (fixed, moving), "far": (names[fixed], names[moving])}
    tracemalloc.start()
    _, structures = score_case(displacement, sets, SPACING_MM)
    centroids = find_centroids(names[fixed], names[1:])
    peak_mb = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    assert peak_mb < 50
    np.testing.assert_array_equal(centroids, find_centroids(fixed, [1, 2, 3]))
    plain, far = (structures[structures.label_set == n].set_index("rule") for n in sets)
    assert set(far["label"]) == set(names)
    for column in STRUCTURE_MEASURES:
        for rule in ("nearest", "linear", "soft"):
            values = far.loc[rule].set_index("label").loc[names, column]
            np.testing.assert_allclose(values, plain.loc[rule].set_index("label")[column])


def test_every_rule_is_that_of_warp_labels(case, monkeypatch):
    """One pass over all rules against the rules one by one, on a field that leaves the grid."""
    displacement, (fixed, moving), _ = case
    monkeypatch.setattr("lumirage_lib.metrics._votes.SLAB_VOXELS", 1000)
    (found,) = count_by_rules(
        [(fixed.astype(np.uint8), moving.astype(np.uint8))], 3 * displacement, ["nearest", "linear"]
    )
    for rule in ("nearest", "linear"):
        expected = warp_labels(moving, 3 * displacement, rule)
        np.testing.assert_array_equal(found.moved[rule], expected)
        table = compute_overlap(fixed, expected, range(4))
        counts = table[["n_fixed", "n_moved", "n_both"]].to_numpy().T
        np.testing.assert_array_equal(found.counts[rule], counts)
