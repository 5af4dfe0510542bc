from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import brain, smooth_field

from lumirage_lib.cohorts.sources import fetch
from lumirage_lib.errors import InputError, WeightsError
from lumirage_lib.images.preprocess import PairImages
from lumirage_lib.images.volumes import reorient_array
from lumirage_lib.images.warp import warp_image
from lumirage_lib.methods import EXPOSURES, METHODS, get_method, run_method
from lumirage_lib.methods.deep import PUBLISHED, run_network
from lumirage_lib.methods.networks import build

SHAPE = (32, 48, 32)


def make_images() -> tuple[np.ndarray, np.ndarray]:
    moving = brain(SHAPE, 1)
    return warp_image(moving, smooth_field(SHAPE, 1.0, 2)), moving


@pytest.fixture
def checkpoint(tmp_path):
    """Weights of no one, saved as a checkpoint of the authors is."""
    torch.manual_seed(3)
    module = build("lapirn-disp")
    torch.save(module.state_dict(), tmp_path / "weights.pth")
    return module, tmp_path / "weights.pth"


def test_network_is_run_on_fixed_and_moving_in_that_order(checkpoint):
    module, path = checkpoint
    fixed, moving = make_images()
    found = run_network(fixed, moving, np.eye(4), network="lapirn-disp", weights=str(path))
    with torch.inference_mode():
        pair = [torch.from_numpy(image)[None, None] for image in (fixed, moving)]
        expected = module(*pair)[0].numpy()
        swapped = module(*pair[::-1])[0].numpy()
    assert found.shape == (3, *SHAPE)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - swapped).max() > 1e-3


def test_weights_of_another_network_are_refused(checkpoint):
    fixed, moving = make_images()
    _, path = checkpoint
    with pytest.raises(WeightsError):
        run_network(fixed, moving, np.eye(4), network="clapirn", weights=str(path), regularity=0.1)


def test_unknown_network_and_unfit_grid_are_refused(checkpoint):
    fixed, moving = make_images()
    _, path = checkpoint
    with pytest.raises(InputError, match="expected a network of"):
        run_network(fixed, moving, np.eye(4), network="lapirm", weights=str(path))
    with pytest.raises(InputError, match="multiples of"):
        run_network(fixed[:-1], moving[:-1], np.eye(4), network="lapirn-disp", weights=str(path))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_network_asks_for_what_it_was_trained_on(name):
    spec = get_method(name)
    assert (spec.family, spec.input.orientation) == ("deep", "LIA")
    assert (spec.input.grid, spec.input.spacing_mm) == ((160, 192, 224), 1.0)
    assert (np.array(spec.input.grid) % spec.input.multiple_of == 0).all()
    with torch.device("meta"):
        assert spec.input.multiple_of % build(name, **spec.parameters).required_multiple == 0


@pytest.mark.parametrize("name", [m for m in METHODS if get_method(m).family == "deep"])
def test_every_network_says_what_it_was_trained_on_and_how_that_is_known(name):
    training = get_method(name).training
    assert training.data
    assert training.evidence
    assert training.datasets
    assert set(training.datasets.values()) <= set(EXPOSURES)


@pytest.mark.mirror
@pytest.mark.golden
@pytest.mark.parametrize(("axis", "shift"), [(0, 2), (1, -2)])
def test_published_network_finds_a_shift_in_ras_through_its_own_orientation(golden, axis, shift):
    """Axes and signs of the whole road, LIA and back; such a network finds a part of a shift."""
    brain = np.load(golden / "clapirn.npz")["fixed"]
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in brain.shape), indexing="ij")
    ball = reorient_array(brain * (np.square(axes).sum(axis=0) < 0.6), "LIA", "RAS")
    pair = PairImages(ball, np.roll(ball, shift, axis), np.eye(4), np.eye(4), np.eye(4))
    spec = get_method("clapirn")
    spec = replace(spec, input=replace(spec.input, grid=None))  # half resolution, for speed
    weights = {"weights": str(fetch(spec.weights, quiet=True))}
    found = run_method(spec, pair, {**spec.with_parameters({}), **weights})
    assert found.shape == (3, *ball.shape)
    mean = found[:, ball > 0].mean(axis=1)
    assert mean[axis] * np.sign(shift) > 0.4
    assert np.abs(np.delete(mean, axis)).max() < 0.6 * np.abs(mean[axis])
