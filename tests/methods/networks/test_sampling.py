from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import as_batch, make_blobs, warp

from lumirage_lib.methods.networks.sampling import (
    convert_unit_to_voxels,
    convert_voxels_to_unit,
    integrate_unit_velocity,
    make_unit_grid,
    warp_by_unit_flow,
)


@pytest.fixture
def flow(rng):
    flow = 0.1 * torch.from_numpy(rng.standard_normal((1, 3, 12, 16, 20)).astype(np.float32))
    flow[:, 0] += 0.2  # along the last axis only: an order mistake cannot cancel
    return flow


def test_unit_flow_conversion_agrees_with_the_definition(flow, rng):
    image = as_batch(make_blobs(rng, (12, 16, 20)))
    inside = (slice(None), slice(None), slice(3, -3), slice(3, -3), slice(3, -5))
    by_unit = warp_by_unit_flow(image, flow)[inside]
    by_voxels = warp(image, convert_unit_to_voxels(flow))[inside]
    assert torch.allclose(by_unit, by_voxels, atol=1e-5)


def test_conversions_are_inverse(flow):
    assert torch.allclose(convert_voxels_to_unit(convert_unit_to_voxels(flow)), flow, atol=1e-7)


def test_identity_grid_puts_the_last_axis_first():
    grid = make_unit_grid((2, 3, 4), torch.zeros(1))
    assert torch.equal(grid[0, 0, 0, -1], torch.tensor([1.0, -1.0, -1.0]))
    assert torch.equal(grid[0, -1, 1, 0], torch.tensor([-1.0, 0.0, 1.0]))


def test_integrating_a_constant_velocity_gives_it_back():
    velocity = torch.full((1, 3, 8, 8, 8), 0.1)
    assert torch.allclose(integrate_unit_velocity(velocity), velocity, atol=1e-6)


def test_integrating_a_linear_velocity_gives_the_exponential():
    grid = make_unit_grid((33, 33, 33), torch.zeros(1)).permute(0, 4, 1, 2, 3)
    velocity = -0.5 * grid  # dx/dt = -x/2, so x(1) = x(0) exp(-1/2)
    expected = grid * (np.exp(-0.5) - 1)
    assert torch.allclose(integrate_unit_velocity(velocity), expected, atol=2e-3)
