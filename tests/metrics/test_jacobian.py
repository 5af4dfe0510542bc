"""Folding: transformations whose determinants are known, and the ten-determinant definition."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from scipy import ndimage

from lumirage_lib.errors import InputError
from lumirage_lib.metrics import compute_field_measures, compute_jacobian_determinant

SHAPE = (9, 8, 10)
EVERYWHERE = np.ones(SHAPE, bool)


def linear_field(matrix: np.ndarray) -> np.ndarray:
    """Displacement of x -> matrix @ x."""
    grid = np.indices(SHAPE, dtype=float)
    return (np.tensordot(matrix, grid, 1) - grid).astype(np.float32)


def smooth_field(rng, shape=SHAPE, amplitude=1.5) -> np.ndarray:
    noise = rng.normal(size=(3, *shape))
    return (amplitude * ndimage.gaussian_filter(noise, (0, 1, 1, 1)) * 5).astype(np.float32)


def volumes_of_tetrahedra(displacement) -> np.ndarray:
    """Signed volumes, times six, of the ten tetrahedra at each inner voxel, in float64.

    Written from the geometry: a tetrahedron is a voxel and three others, and its image has the
    volume of the determinant of its three edges over that of the edges on the grid.
    """
    points = np.indices(displacement.shape[1:]) + displacement.astype(float)
    inner = np.ix_(*(range(1, n - 1) for n in displacement.shape[1:]))

    def edge(offset):
        moved = np.roll(points, [-o for o in offset], axis=(1, 2, 3)) - points
        return np.stack([component[inner] for component in moved], axis=-1)

    axis_edges = [[(sx, 0, 0), (0, sy, 0), (0, 0, sz)] for sx, sy, sz in product((1, -1), repeat=3)]
    diagonals = [[(s, s, 0), (s, 0, s), (0, s, s)] for s in (1, -1)]
    volumes = []
    for edges in axis_edges + diagonals:
        jacobian = np.stack([edge(offset) for offset in edges], axis=-1)
        reference = np.linalg.det(np.array(edges, float).T)
        # The diagonal tetrahedra have twice the size: theirs is the raw determinant, abs value 2.
        volumes.append(np.linalg.det(jacobian) * np.sign(reference))
    return np.stack(volumes)


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7])
def test_scaling_has_its_cube_as_determinant(scale):
    determinant = compute_jacobian_determinant(linear_field(scale * np.eye(3)))
    assert determinant.shape == tuple(n - 2 for n in SHAPE)
    np.testing.assert_allclose(determinant, scale**3, rtol=1e-4)


def test_linear_maps_have_their_determinant(rng):
    matrix = np.eye(3) + rng.uniform(-0.3, 0.3, (3, 3))
    determinant = compute_jacobian_determinant(linear_field(matrix))
    np.testing.assert_allclose(determinant, np.linalg.det(matrix), rtol=1e-4)


def test_identity_does_not_fold():
    measures = compute_field_measures(np.zeros((3, *SHAPE)), EVERYWHERE)
    assert measures.pop("n_mask") == np.prod([n - 2 for n in SHAPE])
    assert all(value == 0 for value in measures.values())


def test_translation_and_rotation_do_not_fold():
    angle = 0.4
    rotation = np.eye(3)
    rotation[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    for displacement in (np.full((3, *SHAPE), 2.5), linear_field(rotation)):
        measures = compute_field_measures(displacement, EVERYWHERE)
        assert measures["ndv_voxels"] == 0
        assert measures["sd_log_j"] == pytest.approx(0, abs=1e-5)


def test_mirror_folds_everywhere():
    """Every tetrahedron is inverted: the volume lost is the mask, each cube divided twice."""
    measures = compute_field_measures(linear_field(np.diag([-1, 1, 1])), EVERYWHERE)
    assert measures["nonpositive_fraction"] == 1
    assert measures["nonpositive_tetrahedra_fraction"] == 1
    assert measures["ndv_percent"] == pytest.approx(100)
    assert np.isnan(measures["sd_log_j_positive"])


def test_ten_determinants_against_tetrahedra(rng):
    displacement = smooth_field(rng)
    mask = rng.random(SHAPE) > 0.3
    inside = mask[1:-1, 1:-1, 1:-1]
    volumes = volumes_of_tetrahedra(displacement)[:, inside]
    measures = compute_field_measures(displacement, mask)
    assert (volumes <= 0).any()
    assert measures["ndv_voxels"] == pytest.approx(-np.minimum(volumes, 0).sum() / 12, rel=1e-4)
    assert measures["nonpositive_tetrahedra"] == pytest.approx((volumes <= 0).sum() / 10)


def test_trap_central_differences_miss_folds():
    """A checkerboard of +-0.6 voxel folds at each step; its central differences are all 1."""
    displacement = np.zeros((3, *SHAPE))
    displacement[0] = 0.6 * (-1.0) ** np.arange(SHAPE[0])[:, None, None]
    measures = compute_field_measures(displacement, EVERYWHERE)
    assert measures["nonpositive_fraction"] == 0
    assert measures["ndv_percent"] > 5


@pytest.mark.parametrize("axes", permutations(range(3)))
def test_axes_are_treated_alike(rng, axes):
    displacement, mask = smooth_field(rng), EVERYWHERE
    turned = displacement[list(axes)].transpose(0, *(a + 1 for a in axes))
    before = compute_field_measures(displacement, mask)
    after = compute_field_measures(turned, mask.transpose(axes))
    even = np.linalg.det(np.eye(3)[list(axes)]) > 0
    for name in before if even else ("n_mask", "ndv_voxels", "nonpositive_fraction", "sd_log_j"):
        assert after[name] == pytest.approx(before[name], rel=1e-4, abs=1e-5)


def test_folds_outside_the_mask_do_not_count():
    displacement = np.zeros((3, *SHAPE), np.float32)
    displacement[0, 6] = -4
    mask = np.zeros(SHAPE)
    mask[:4] = 7  # any value above zero is inside
    assert compute_field_measures(displacement, mask)["ndv_voxels"] == 0
    assert compute_field_measures(displacement, EVERYWHERE)["ndv_voxels"] > 0


def test_trap_mask_of_the_moving_image_gives_another_volume():
    """The field lives on the fixed grid: the same folds, another mask, another percentage."""
    displacement = np.zeros((3, *SHAPE), np.float32)
    displacement[0, 3] = -4
    fixed_mask, moving_mask = np.zeros((2, *SHAPE), bool)
    fixed_mask[2:5], moving_mask[6:8] = True, True
    assert compute_field_measures(displacement, fixed_mask)["ndv_percent"] > 1
    assert compute_field_measures(displacement, moving_mask)["ndv_percent"] == 0


def test_folds_enter_sd_log_j_at_the_floor():
    displacement = np.zeros((3, *SHAPE), np.float32)
    displacement[0, 4] = -4
    determinant = compute_jacobian_determinant(displacement).astype(float)
    measures = compute_field_measures(displacement, EVERYWHERE)
    expected = np.log(np.maximum(determinant, 1e-9)).std()
    assert measures["sd_log_j"] == pytest.approx(expected, rel=1e-5)
    positive = np.log(determinant[determinant > 0]).std()
    assert measures["sd_log_j_positive"] == pytest.approx(positive, rel=1e-5)
    assert measures["sd_log_j"] > measures["sd_log_j_positive"]


def test_slabs_and_memory_order_make_no_difference(rng, monkeypatch):
    displacement, mask = smooth_field(rng), rng.random(SHAPE) > 0.5
    whole = compute_field_measures(displacement, mask)
    determinant = compute_jacobian_determinant(displacement)
    monkeypatch.setattr("lumirage_lib.metrics._jacobian.SLAB_VOXELS", 1)
    fortran = np.asfortranarray(displacement)
    assert compute_field_measures(fortran, mask) == pytest.approx(whole, rel=1e-5)
    np.testing.assert_allclose(compute_jacobian_determinant(fortran), determinant, rtol=1e-5)


def test_unusable_input_is_refused():
    with pytest.raises(InputError, match="3, X, Y, Z"):
        compute_field_measures(np.zeros((*SHAPE, 3)), EVERYWHERE)
    with pytest.raises(InputError, match="mask"):
        compute_field_measures(np.zeros((3, *SHAPE)), np.zeros(SHAPE))
    with pytest.raises(InputError, match="infinite"):
        compute_field_measures(np.full((3, *SHAPE), np.nan), EVERYWHERE)
