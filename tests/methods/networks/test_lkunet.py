from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import as_batch, find_checkpoint, warp

from lumirage_lib.methods.networks import build, load
from lumirage_lib.methods.networks.sampling import convert_unit_to_voxels
from lumirage_lib.methods.networks.symnet import apply


@pytest.mark.mirror
@pytest.mark.golden
def test_published_network_returns_what_the_official_code_returns(golden):
    """What is stored is the velocity; the authors' scripts integrate it before they warp by it."""
    stored = np.load(golden / "lkunet.npz")
    fixed, moving = as_batch(stored["fixed"]), as_batch(stored["moving"])
    network = load("lkunet", find_checkpoint("lkunet"))
    with torch.inference_mode():
        velocity = apply(network.dc9, network.compute_features(moving, fixed)).flip(1)
        found = network(fixed, moving)
    stride = int(stored["stride"])
    strided = convert_unit_to_voxels(velocity)[0, :, ::stride, ::stride, ::stride]
    assert np.abs(strided.numpy() - stored["displacement"]).max() <= 1e-3
    error = (warp(moving, found) - fixed).square().mean()
    assert error < 0.8 * (moving - fixed).square().mean()
    assert 0.1 < np.abs(found[0, :, ::2, ::2, ::2].numpy() - strided.numpy()).max() < 1


def test_network_has_the_size_that_its_authors_state():
    network = build("lkunet")
    assert sum(p.numel() for p in network.parameters()) == 522_950
