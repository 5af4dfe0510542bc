from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lumirage_lib.networks import slabs
from lumirage_lib.networks.slabs import convolve, take_doubled_rows, take_repeated_rows, take_rows


@pytest.fixture
def conv():
    return nn.Conv3d(5, 4, 3, padding=1)


@pytest.mark.parametrize("slab_voxels", [1, 84, 10**6])
def test_slabs_give_the_convolution_of_the_whole(conv, slab_voxels, monkeypatch):
    monkeypatch.setattr(slabs, "SLAB_VOXELS", slab_voxels)
    x, y = torch.randn(2, 2, 9, 6, 7), torch.randn(2, 3, 9, 6, 7)
    with torch.inference_mode():
        ours = convolve(conv, take_rows(x, y), (9, 6, 7))
        assert torch.allclose(ours, conv(torch.cat((x, y), 1)), atol=1e-5)


def test_gradients_pass(conv):
    x, y = (torch.randn(1, n, 4, 3, 5, requires_grad=True) for n in (2, 3))
    ours = torch.autograd.grad(convolve(conv, take_rows(x, y), (4, 3, 5)).square().sum(), (x, y))
    whole = torch.autograd.grad(conv(torch.cat((x, y), 1)).square().sum(), (x, y))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours, whole, strict=True))


@pytest.mark.parametrize("shape", [(5, 4, 3), (1, 2, 3), (2, 1, 1)])
@pytest.mark.parametrize(
    ("take", "options"),
    [
        (take_doubled_rows, {"mode": "trilinear", "align_corners": True}),
        (take_repeated_rows, {"mode": "nearest"}),
    ],
)
def test_rows_of_twice_the_resolution_are_those_of_interpolation(shape, take, options):
    x = torch.randn(1, 2, *shape)
    whole = F.interpolate(x, scale_factor=2, **options)
    rows = take(x)
    n = 2 * shape[0]
    for start in range(n):
        for stop in range(start + 1, n + 1):
            assert torch.allclose(rows(start, stop), whole[:, :, start:stop], atol=1e-5)
