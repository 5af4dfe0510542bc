from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import as_batch, make_blobs
from safetensors.torch import save_file

from lumirage_lib.errors import InputError, WeightsError
from lumirage_lib.methods.networks import VFA, build, infer_options, load_weights, slabs


def make_network(**options) -> VFA:
    torch.manual_seed(0)
    small = {"downsamples": 2, "start_channels": 2, "matching_channels": 2, "max_channels": 8}
    return VFA(**{**small, **options}).eval()


@pytest.fixture
def pair(rng):
    return tuple(as_batch(make_blobs(rng, (16, 20, 24))) for _ in range(2))


@pytest.mark.golden
@pytest.mark.parametrize("slab_voxels", [3000, 10**6])
def test_official_state_gives_the_official_grid(golden, tmp_path, monkeypatch, slab_voxels):
    monkeypatch.setattr(slabs, "SLAB_VOXELS", slab_voxels)
    stored = np.load(golden / "vfa_official.npz")
    keys = [key for key in stored if key.startswith("state/")]
    state = {key.removeprefix("state/"): torch.from_numpy(stored[key]) for key in keys}
    save_file(state, tmp_path / "vfa.safetensors")
    network = build("vfa", **infer_options(state))
    load_weights(network, tmp_path / "vfa.safetensors")
    with torch.inference_mode():
        displacement = network(as_batch(stored["fixed"]), as_batch(stored["moving"]))[0].numpy()
    grid = displacement + np.indices(stored["fixed"].shape)
    assert np.abs(grid - stored["grid"]).max() <= 1e-4


def test_gradients_reach_every_parameter_and_do_not_change_the_output(pair):
    network = make_network()
    with torch.inference_mode():
        expected = network(*pair)
    displacement = network(*pair)
    assert torch.allclose(displacement, expected, atol=1e-4)
    displacement.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_skipped_level_adds_nothing(pair):
    full, half = make_network(), make_network(skip=1)
    state = full.state_dict()
    half.load_state_dict({key: state[key] for key in half.state_dict()})
    # Projections to nothing match everything equally: the finest level then moves nothing.
    full.decoder.project["0"].weight.data.zero_()
    full.decoder.project["0"].bias.data.zero_()
    with torch.inference_mode():
        assert torch.allclose(half(*pair), full(*pair), atol=1e-4)
    assert "decoder.project.0.weight" not in half.state_dict()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_features_that_moved_are_followed(rng, axis):
    """Untrained features move with the image; so must the match."""
    image = make_blobs(rng, (32, 32, 32)) + 0.1 * rng.random((32, 32, 32))
    network = make_network(downsamples=1, start_channels=16, matching_channels=16)
    fixed, moving = as_batch(image), as_batch(np.roll(image, 1, axis=axis))
    with torch.inference_mode():
        mean = network(fixed, moving)[0, :, 8:-8, 8:-8, 8:-8].mean(dim=(1, 2, 3))
    others = [mean[i].abs() for i in range(3) if i != axis]
    assert mean[axis] > 0
    assert max(others) < mean[axis] / 4


def test_intensity_scale_does_not_matter(pair):
    fixed, moving = pair
    network = make_network()
    with torch.inference_mode():
        assert torch.allclose(
            network(fixed, moving), network(7 * fixed + 3, 0.5 * moving - 1), atol=1e-3
        )


def test_bfloat16_is_close(pair):
    exact, coarse = make_network(), make_network(precision="bfloat16")
    coarse.load_state_dict(exact.state_dict())
    with torch.inference_mode():
        expected, got = exact(*pair), coarse(*pair)
    assert got.dtype == torch.float32
    assert 0 < (got - expected).abs().max() < 0.1


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"skip": 1},
        {"downsamples": 3, "start_channels": 4, "matching_channels": 6, "max_channels": 16},
    ],
)
def test_options_are_read_off_a_state(options):
    network = make_network(**options)
    inferred = infer_options(network.state_dict())
    assert options.items() <= inferred.items()
    VFA(**inferred).load_state_dict(network.state_dict())


def test_options_of_another_network_are_refused():
    with pytest.raises(WeightsError, match="another network"):
        infer_options(build("symnet").state_dict())


def test_bad_options_and_grids_are_refused():
    with pytest.raises(InputError, match="expected 0 <= skip <= downsamples"):
        VFA(skip=5)
    with pytest.raises(InputError, match="precision"):
        VFA(precision="float16")
    with torch.inference_mode(), pytest.raises(InputError, match="more than one voxel"):
        make_network()(torch.rand(1, 1, 4, 4, 4), torch.rand(1, 1, 4, 4, 4))
