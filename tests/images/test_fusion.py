"""Joint fusion: weights by their formula, atlases that err together count as one, quality as measured."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from synthetic import brain, smooth_field, smooth_noise

from lumirage_lib.errors import InputError
from lumirage_lib.images.fusion import compute_weights, fuse, vote
from lumirage_lib.images.volumes import Volume
from lumirage_lib.images.warp import warp_image, warp_labels

SHAPE = (20, 24, 18)


def test_weights_solve_the_equation_of_the_paper():
    rng = np.random.default_rng(0)
    target = rng.normal(size=SHAPE)
    atlases = target + rng.normal(size=(4, *SHAPE))
    at = (9, 11, 8)
    where = np.zeros(SHAPE, bool)
    where[at] = True
    (weights,) = compute_weights(target, atlases, where, radius=1, beta=2, alpha=0.1).T
    patch = tuple(slice(i - 1, i + 2) for i in at)
    error = np.abs(atlases - target)[(slice(None), *patch)].reshape(4, -1)
    matrix = (error @ error.T / 27) ** 2
    matrix += 0.1 * np.trace(matrix) / 4 * np.eye(4)
    expected = np.linalg.solve(matrix, np.ones(4))
    assert_allclose(weights, expected / expected.sum(), rtol=1e-4)
    assert weights.sum() == pytest.approx(1, abs=1e-5)


def test_atlases_that_err_together_share_one_voice():
    target = np.zeros(SHAPE)
    noise = np.abs([smooth_noise(SHAPE, 1, s) for s in range(3)])
    atlases = np.stack([noise[0], noise[0], noise[1]])
    where = np.ones(SHAPE, bool)
    weights = compute_weights(target, atlases, where).reshape(3, *SHAPE)
    assert_allclose(weights[0], weights[1], atol=1e-4)
    # Averaged over space no atlas is better; the twins are not believed twice.
    assert weights[2].mean() > 1.3 * weights[0].mean()
    poor = compute_weights(target, np.stack([noise[0], noise[1], 5 * noise[2]]), where)
    assert poor[2].mean() < 0.1


def test_vote_takes_the_label_with_most_weight():
    labels = np.array([[1, 1, 7], [2, 2, 8], [2, 3, 9]])
    weights = np.array([[0.6, 0.4, 0.2], [0.3, 0.3, 0.5], [0.1, 0.3, 0.3]])
    assert_array_equal(vote(labels, weights), [1, 1, 8])
    weights[0, 0] = 0.35
    assert_array_equal(vote(labels, weights), [2, 1, 8])


def make_atlas(seed: int) -> tuple[Volume, list[Volume]]:
    image, field = brain(SHAPE), smooth_field(SHAPE, 0.5, seed)
    labels = np.digitize(image, [0.3, 0.5, 0.6, 0.7]).astype(np.int32)
    moved = warp_image(image, field) * (1 + 0.05 * smooth_noise(SHAPE, 2, seed + 50))
    moved[moved < 0.02] = 0
    return Volume(moved, np.eye(4)), [Volume(warp_labels(labels, field), np.eye(4))]


def test_fused_map_is_the_common_label_where_all_agree_and_zero_outside_the_brain():
    target, (truth,) = make_atlas(3)
    same = np.stack([truth.data] * 2)
    (fused,) = fuse(target, np.stack([target.data] * 2), [same])
    assert_array_equal(fused, np.where(target.data > 0, truth.data, 0))
    with pytest.raises(InputError, match="1 atlas to fuse, expected two or more"):
        fuse(target, target.data[None], [truth.data[None]])
