"""HD95 against the packages that define it, and its properties."""

from __future__ import annotations

import numpy as np
import pytest
import surface_distance
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from lumirage_lib.errors import InputError
from lumirage_lib.metrics import compute_hd95, compute_hd95_table, compute_overlap

SHAPE = (7, 6, 8)
ISOTROPIC, ANISOTROPIC = (1.0, 1.0, 1.0), (0.7, 1.3, 2.5)
label_maps = hnp.arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 0, 0, 1, 2]))
few = settings(max_examples=25, deadline=None)
DEFINITIONS = ("surface-element", "voxel-edt")


def hd95_by_package(fixed, moved, label, spacing):
    """What the package surface-distance returns; NaN for its infinity."""
    masks = fixed == label, moved == label
    if not (masks[0].any() and masks[1].any()):
        return np.nan
    distances = surface_distance.compute_surface_distances(*masks, spacing)
    return surface_distance.compute_robust_hausdorff(distances, 95)


def hd95_by_voxels(fixed, moved, label, spacing):
    """MONAI's definition, written with scipy."""
    edges = [m ^ ndimage.binary_erosion(m) for m in (fixed == label, moved == label)]
    if not (edges[0].any() and edges[1].any()):
        return np.nan
    far = [ndimage.distance_transform_edt(~edge, sampling=spacing) for edge in edges]
    return max(np.percentile(far[1][edges[0]], 95), np.percentile(far[0][edges[1]], 95))


def blobs(rng, shape=(40, 36, 44), shift=3):
    """Smooth structures of many sizes, and the same ones displaced and deformed."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), 4)
    fixed = np.digitize(noise, np.quantile(noise, [0.6, 0.8, 0.9]))
    noise = np.roll(noise, shift, 0) + 0.3 * ndimage.gaussian_filter(rng.normal(size=shape), 3)
    return fixed, np.digitize(noise, np.quantile(noise, [0.6, 0.8, 0.9]))


@settings(max_examples=40, deadline=None)
@given(label_maps, label_maps, st.sampled_from([ISOTROPIC, ANISOTROPIC, (0.6, 0.6, 0.6)]))
def test_surface_elements_are_those_of_the_package(fixed, moved, spacing):
    ours = compute_hd95(fixed, moved, [0, 1, 2], spacing)
    expected = [hd95_by_package(fixed, moved, label, spacing) for label in (0, 1, 2)]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(label_maps, label_maps, st.sampled_from([ISOTROPIC, ANISOTROPIC]))
def test_voxel_definition_is_monai_s(fixed, moved, spacing):
    ours = compute_hd95(fixed, moved, [0, 1, 2], spacing, "voxel-edt")
    expected = [hd95_by_voxels(fixed, moved, label, spacing) for label in (0, 1, 2)]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shift", [0, 4, 14, 25])  # within and beyond either sweep
@pytest.mark.parametrize("spacing", [ISOTROPIC, ANISOTROPIC])
def test_near_and_far_surfaces_agree_with_the_definitions(rng, shift, spacing):
    fixed, moved = blobs(rng)
    moved = ndimage.shift(moved, (shift, 0, 0), order=0)
    for definition, reference in zip(DEFINITIONS, (hd95_by_package, hd95_by_voxels), strict=True):
        ours = compute_hd95(fixed, moved, [1, 2, 3], spacing, definition)
        expected = [reference(fixed, moved, label, spacing) for label in (1, 2, 3)]
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("definition", DEFINITIONS)
@few
@given(labels=label_maps)
def test_identity_is_zero(definition, labels):
    hd95 = compute_hd95(labels, labels, np.unique(labels), ISOTROPIC, definition)
    assert (hd95 == 0).all()


@pytest.mark.parametrize("definition", DEFINITIONS)
@few
@given(label_maps, label_maps)
def test_symmetry(definition, fixed, moved):
    there = compute_hd95(fixed, moved, [1, 2], ANISOTROPIC, definition)
    back = compute_hd95(moved, fixed, [1, 2], ANISOTROPIC, definition)
    np.testing.assert_allclose(there, back)


@pytest.mark.parametrize("definition", DEFINITIONS)
@few
@given(label_maps, label_maps, st.integers(0, 2))
def test_a_common_translation_changes_nothing(definition, fixed, moved, axis):
    fixed, moved = np.pad(fixed, 2), np.pad(moved, 2)
    before = compute_hd95(fixed, moved, [1, 2], ANISOTROPIC, definition)
    shifted = np.roll(fixed, 1, axis), np.roll(moved, 1, axis)
    np.testing.assert_allclose(before, compute_hd95(*shifted, [1, 2], ANISOTROPIC, definition))


@few
@given(label_maps, label_maps, st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_distances_scale_with_the_spacing(fixed, moved, scale):
    """Powers of two, which round nothing: areas that sum to 95 % exactly may tip either way."""
    before = compute_hd95(fixed, moved, [1, 2], ISOTROPIC)
    after = compute_hd95(fixed, moved, [1, 2], np.multiply(scale, ISOTROPIC))
    np.testing.assert_allclose(after, scale * before)


@few
@given(label_maps, label_maps)
def test_labels_may_be_renamed(fixed, moved):
    renamed = np.array([0, 500, 7])
    before = compute_hd95(fixed, moved, [1, 2], ISOTROPIC)
    after = compute_hd95(renamed[fixed], renamed[moved], [500, 7], ISOTROPIC)
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_a_shifted_box_is_as_far_as_its_shift(definition):
    fixed, moved = np.zeros((2, 20, 10, 10), int)
    fixed[3:9, 2:8, 2:8], moved[6:12, 2:8, 2:8] = 1, 1
    hd95 = compute_hd95(fixed, moved, [1], (2, 1, 1), definition)
    assert hd95[1] == pytest.approx(6)


def test_trap_hd95_in_mm_is_not_hd95_in_voxels(rng):
    fixed, moved = blobs(rng)
    table = compute_hd95_table(fixed, moved, [1, 2, 3], (0.6, 0.6, 0.6))
    np.testing.assert_allclose(table["hd95_mm"], 0.6 * table["hd95_voxel"])
    table = compute_hd95_table(fixed, moved, [1, 2, 3], ANISOTROPIC)
    for column, spacing in (("hd95_mm", ANISOTROPIC), ("hd95_voxel", ISOTROPIC)):
        alone = compute_hd95(fixed, moved, [1, 2, 3], spacing)
        np.testing.assert_array_equal(table[column], alone)


def test_headers_rounded_to_float32_are_still_isotropic(rng, monkeypatch):
    """1.0 and 0.99999994 mm are one spacing: the quick way is taken, with the same distances."""
    fixed, moved = blobs(rng, shift=1)
    expected = compute_hd95(fixed, moved, [1, 2, 3], ISOTROPIC)
    transform = "scipy.ndimage.distance_transform_edt"
    monkeypatch.setattr(transform, lambda *_, **__: pytest.fail("took the slow way"))
    rounded = compute_hd95(fixed, moved, [1, 2, 3], (1.0, np.nextafter(np.float32(1), 0), 1.0))
    np.testing.assert_allclose(rounded, expected, atol=1e-5)


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_trap_lost_structure_is_nan_never_infinite(definition):
    fixed, moved = np.zeros((2, *SHAPE), int)
    fixed[2:4, 2:4, 2:4], moved[3:5, 2:4, 2:4] = 1, 1
    fixed[5:, 4:, 4:] = 2
    hd95 = compute_hd95(fixed, moved, [1, 2, 3], ISOTROPIC, definition)
    assert list(np.isfinite(hd95)) == [True, False, False]
    assert hd95.isna().sum() == 2
    assert compute_overlap(fixed, moved, [1, 2, 3])["lost"].sum() == 1  # ... and it is counted


def test_unknown_definition_and_impossible_spacing_are_refused():
    labels = np.ones(SHAPE, int)
    with pytest.raises(InputError, match="definition"):
        compute_hd95(labels, labels, [1], ISOTROPIC, "edt")
    with pytest.raises(InputError, match="spacing_mm"):
        compute_hd95(labels, labels, [1], (1, 1, 0))
