from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import (
    as_batch,
    assert_points_along,
    build_published,
    make_blobs,
    make_shifted_brain,
    warp,
)

from lumirage_lib.errors import InputError
from lumirage_lib.networks import ConditionalLapIRN, LapIRN, build
from lumirage_lib.networks.sampling import convert_unit_to_voxels, warp_by_unit_flow

GOLDEN = {"lapirn-disp": "lapirn_disp.npz", "clapirn": "clapirn.npz"}


@pytest.mark.mirror
@pytest.mark.golden
@pytest.mark.parametrize("name", GOLDEN)
def test_published_network_returns_what_the_official_code_returns(name, golden):
    expected = np.load(golden / GOLDEN[name])
    options = {"regularity": float(expected["reg_input"])} if name == "clapirn" else {}
    fixed, moving = as_batch(expected["fixed"]), as_batch(expected["moving"])
    with torch.inference_mode():
        displacement = build_published(name, **options)(fixed, moving)
    stride = int(expected["stride"])
    strided = displacement[0, :, ::stride, ::stride, ::stride].numpy()
    assert np.abs(strided - expected["displacement"]).max() <= 1e-3
    # And it is a displacement in the library's convention: warping by it brings moving to fixed.
    before = (moving - fixed).square().mean()
    after = (warp(moving, displacement) - fixed).square().mean()
    assert after < 0.8 * before


@pytest.mark.mirror
@pytest.mark.golden
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_shifted_pair_gives_a_displacement_along_the_shift(axis, golden):
    brain = np.load(golden / "clapirn.npz")["fixed"]
    fixed, moving = make_shifted_brain(brain, axis, shift=2)
    with torch.inference_mode():
        displacement = build_published("clapirn")(fixed, moving)
    assert_points_along(displacement, fixed > 0, axis)


@pytest.mark.mirror
def test_regularity_smooths(rng):
    fixed, moving = (as_batch(make_blobs(rng, (32, 40, 48))) for _ in range(2))
    with torch.inference_mode():
        rough, smooth = (
            build_published("clapirn", regularity=r)(fixed, moving).diff(dim=2).square().mean()
            for r in (0.0, 1.0)
        )
    assert smooth < 0.8 * rough


@pytest.mark.parametrize("name", ["lapirn-disp", "lapirn-diff", "clapirn"])
def test_forward_is_deterministic_and_of_the_pair_shape(name, rng):
    module = build(name)
    pair = [as_batch(make_blobs(rng, (16, 24, 32))) for _ in range(2)]
    with torch.inference_mode():
        first, second = module(*pair), module(*pair)
    assert first.shape == (1, 3, 16, 24, 32)
    assert torch.equal(first, second)
    assert not torch.equal(first, torch.zeros_like(first))


def test_gradients_reach_every_parameter(rng):
    fixed, moving = (as_batch(make_blobs(rng, (16, 16, 16))) for _ in range(2))
    for module in (LapIRN(start_channels=1), ConditionalLapIRN(start_channels=1)):
        module(fixed, moving).square().sum().backward()
        assert all(p.grad is not None for p in module.parameters())


def test_output_convolution_of_the_parts_equals_that_of_the_whole(rng):
    level = LapIRN(start_channels=1)
    features, narrow = (torch.randn(1, 4, 6, 5, 7) for _ in range(2))
    whole = level.output_lvl1(torch.cat((features, narrow), 1)) * 0.4
    assert torch.allclose(level._compute_residual(features, narrow), whole, atol=1e-6)


def test_grid_that_is_no_multiple_is_refused():
    image = torch.zeros(1, 1, 16, 20, 16)
    with pytest.raises(InputError, match=r"multiples of 8, got \(16, 20, 16\)"):
        build("lapirn-disp")(image, image)
    with pytest.raises(InputError, match="one shape"):
        build("lapirn-disp")(image, image[..., :8])


def test_unit_flow_conversion_agrees_with_the_definition(rng):
    image = as_batch(make_blobs(rng, (12, 16, 20)))
    flow = 0.1 * torch.from_numpy(rng.standard_normal((1, 3, 12, 16, 20)).astype(np.float32))
    flow[:, 0] += 0.2  # along the last axis only: an order mistake cannot cancel
    inside = (slice(None), slice(None), slice(3, -3), slice(3, -3), slice(3, -5))
    by_unit = warp_by_unit_flow(image, flow)[inside]
    by_voxels = warp(image, convert_unit_to_voxels(flow))[inside]
    assert torch.allclose(by_unit, by_voxels, atol=1e-5)
