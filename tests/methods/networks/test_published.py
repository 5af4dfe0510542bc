"""Every published network against what its authors' code returns, and its conventions."""

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
from lumirage_lib.methods.deep import PUBLISHED
from lumirage_lib.methods.networks import build, required_multiple, slabs
from lumirage_lib.methods.networks.sampling import (
    convert_unit_to_voxels,
    convert_voxels_to_unit,
    integrate_unit_velocity,
)


@pytest.fixture(params=["lapirn-disp", "lapirn-diff", "clapirn", "symnet"])
def case(request, golden, monkeypatch):
    """Name, stored arrays, fixed, moving and our displacement for them, computed in slabs."""
    monkeypatch.setattr(slabs, "SLAB_VOXELS", 2**18)
    name = request.param
    stored = np.load(golden / f"{name.replace('-', '_')}.npz")
    options = {"regularity": float(stored["reg_input"])} if name == "clapirn" else {}
    fixed, moving = as_batch(stored["fixed"]), as_batch(stored["moving"])
    with torch.inference_mode():
        return name, stored, fixed, moving, build_published(name, **options)(fixed, moving)


@pytest.mark.mirror
@pytest.mark.golden
def test_published_network_returns_what_the_official_code_returns(case):
    name, stored, fixed, moving, displacement = case
    error = (warp(moving, displacement) - fixed).square().mean()
    # In the library's convention: warping by it brings moving to fixed.
    assert error < 0.8 * (moving - fixed).square().mean()
    if name == "lapirn-diff":
        # The stored field is the network's displacement exponentiated once more, which neither
        # the paper nor the authors' inference script does, and which fits worse; ours is theirs.
        unit = convert_voxels_to_unit(displacement)
        displacement = convert_unit_to_voxels(integrate_unit_velocity(unit))
        assert error < (warp(moving, displacement) - fixed).square().mean()
    stride = int(stored["stride"])
    strided = displacement[0, :, ::stride, ::stride, ::stride].numpy()
    assert np.abs(strided - stored["displacement"]).max() <= 1e-3


@pytest.mark.mirror
@pytest.mark.golden
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_shifted_pair_gives_a_displacement_along_the_shift(axis, golden):
    brain = np.load(golden / "clapirn.npz")["fixed"]
    fixed, moving = make_shifted_brain(brain, axis, shift=2)
    with torch.inference_mode():
        displacement = build_published("clapirn")(fixed, moving)
    assert_points_along(displacement, fixed > 0, axis)


@pytest.mark.parametrize("name", PUBLISHED)
def test_forward_is_deterministic_and_of_the_pair_shape(name, rng):
    module = build(name)
    multiple = required_multiple(name)
    shape = (multiple, 2 * multiple, 3 * multiple)
    pair = [as_batch(make_blobs(rng, shape)) for _ in range(2)]
    with torch.inference_mode():
        first, second = module(*pair), module(*pair)
    assert first.shape == (1, 3, *shape)
    assert torch.equal(first, second)
    assert not torch.equal(first, torch.zeros_like(first))


@pytest.mark.parametrize("name", PUBLISHED)
def test_grid_that_is_no_multiple_is_refused(name):
    image = torch.zeros(1, 1, 16, 20, 16)
    with pytest.raises(InputError, match=r"multiples of (8|16), got \(16, 20, 16\)"):
        build(name)(image, image)
    with pytest.raises(InputError, match="one shape"):
        build(name)(image, image[..., :8])


@pytest.mark.parametrize("name", PUBLISHED)
def test_gradients_reach_every_parameter(name, rng):
    module = build(name)
    side = required_multiple(name)
    fixed, moving = (as_batch(make_blobs(rng, (side, side, 2 * side))) for _ in range(2))
    module(fixed, moving).square().sum().backward()
    without = {name for name, p in module.named_parameters() if p.grad is None}
    assert without == ({"dc10.0.weight"} if name == "lkunet" else set())  # its way back
