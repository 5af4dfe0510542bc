from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lumirage_lib.methods.networks import slabs
from lumirage_lib.methods.networks.slabs import (
    convolve,
    take_doubled_rows,
    take_repeated_rows,
    take_transposed_rows,
)


def make_conv(**options) -> nn.Conv3d:
    return nn.Conv3d(5, 4, **options)


@pytest.mark.parametrize("slab_voxels", [1, 84, 10**6])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 3, "padding": 1, "stride": 2},
        {"kernel_size": 5, "padding": 2, "bias": False},
        {"kernel_size": 3},
    ],
)
@pytest.mark.parametrize("n_rows", [9, 10])
def test_slabs_give_the_convolution_of_the_whole(slab_voxels, options, n_rows, monkeypatch):
    monkeypatch.setattr(slabs, "SLAB_VOXELS", slab_voxels)
    conv = make_conv(**options)
    x, y = torch.randn(2, 2, n_rows, 6, 7), torch.randn(2, 3, n_rows, 6, 7)
    with torch.inference_mode():
        whole = conv(torch.cat((x, y), 1))
        assert torch.allclose(convolve(conv, x, y), whole, atol=1e-5)
        rows_only = convolve(conv, x, lambda a, b: y[:, :, a:b], shape=x.shape[2:])
        assert torch.allclose(rows_only, whole, atol=1e-5)


def test_gradients_pass():
    conv = make_conv(kernel_size=3, padding=1)
    x, y = (torch.randn(1, n, 4, 3, 5, requires_grad=True) for n in (2, 3))
    ours = torch.autograd.grad(convolve(conv, x, y).square().sum(), (x, y))
    whole = torch.autograd.grad(conv(torch.cat((x, y), 1)).square().sum(), (x, y))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours, whole, strict=True))


def assert_rows_are(rows, whole):
    for start in range(whole.shape[2]):
        for stop in range(start + 1, whole.shape[2] + 1):
            assert torch.allclose(rows(start, stop), whole[:, :, start:stop], atol=1e-5)


def test_transposed_rows_are_those_of_the_transposed_convolution():
    conv, x = nn.ConvTranspose3d(2, 3, 2, 2), torch.randn(1, 2, 4, 3, 2)
    with torch.inference_mode():
        assert_rows_are(take_transposed_rows(conv, x), conv(x))


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
    assert_rows_are(take(x), whole)
