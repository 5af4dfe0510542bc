from __future__ import annotations

import numpy as np
import pytest
import torch
from synthetic import smooth_noise

from lumirage_lib.methods.networks.losses import (
    compute_folded_percent,
    compute_local_correlation,
    compute_roughness,
)

SHAPE = (13, 12, 11)


def make_image(seed: int) -> torch.Tensor:
    return torch.from_numpy(0.5 + 0.1 * smooth_noise(SHAPE, 1.0, seed))[None, None]


def test_local_correlation_is_that_of_numpy_in_every_second_cube():
    fixed, moved = make_image(1), make_image(2)
    squares = []
    for centre in np.ndindex(*(len(range(0, n, 2)) for n in SHAPE)):
        cube = tuple(slice(max(2 * c - 2, 0), 2 * c + 3) for c in centre)
        a, b = (image[0, 0].numpy()[cube].ravel() for image in (fixed, moved))
        squares.append(np.corrcoef(a, b)[0, 1] ** 2)
    found = compute_local_correlation(fixed, moved, window=5)
    assert float(found) == pytest.approx(np.mean(squares), abs=2e-3)
    assert 0.02 < float(found) < 0.5


def test_local_correlation_knows_no_scale_and_no_air():
    image = make_image(1)
    assert float(compute_local_correlation(image, 0.3 * image + 0.2)) > 0.99
    assert float(compute_local_correlation(image, 1 - image)) > 0.99
    assert float(compute_local_correlation(image, torch.zeros_like(image))) == 0


def test_roughness_of_a_linear_field_is_the_mean_square_of_its_matrix():
    matrix = torch.tensor([[0.1, 0.2, 0.0], [-0.3, 0.0, 0.05], [0.0, 0.4, -0.2]])
    grid = torch.stack(torch.meshgrid(*(torch.arange(n) * 1.0 for n in SHAPE), indexing="ij"))
    field = torch.einsum("ij,jxyz->ixyz", matrix, grid)[None]
    assert float(compute_roughness(field)) == pytest.approx(float(matrix.square().mean()), rel=1e-4)
    assert float(compute_roughness(field + 5)) == pytest.approx(
        float(compute_roughness(field)), rel=1e-4
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_folded_voxels_are_counted_inside_the_mask(axis):
    grid = torch.stack(torch.meshgrid(*(torch.arange(n) * 1.0 for n in SHAPE), indexing="ij"))
    slope = torch.where(grid[axis] < 6, -0.9, -1.1)  # beyond voxel 6 the order is turned round
    field = torch.zeros(3, *SHAPE)
    field[axis] = (slope * (grid[axis] - 6)).float()
    mask = torch.ones(SHAPE, dtype=torch.bool)
    inner = SHAPE[axis] - 2
    # At voxel 6 itself the central difference is the mean of both slopes, -1: nothing is left.
    expected = 100 * len([v for v in range(1, inner + 1) if v >= 6]) / inner
    assert compute_folded_percent(field, mask) == pytest.approx(expected)
    half = grid[axis] < 6
    assert compute_folded_percent(field, half) == 0
    assert np.isnan(compute_folded_percent(field, torch.zeros_like(mask)))
