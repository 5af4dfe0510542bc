"""Counted memory of one inference: exact on what is known, and equal with and without values."""

from __future__ import annotations

import pytest
import torch

from lumirage_lib.methods import networks
from lumirage_lib.methods.networks import slabs
from lumirage_lib.methods.networks.memory import MB, count_tensors, trace, whole_brain_grid

NETWORKS = ["lapirn-disp", "lapirn-diff", "clapirn", "symnet", "voxelmorph", "lkunet", "vfa"]


def count_megabytes(function, device="meta"):
    """Peak in units of the one input tensor."""
    x = torch.zeros(1, 4, 16, 16, 16, device=device)
    return trace(function, x)[0] * MB / x.untyped_storage().nbytes()


def chain(x):
    for _ in range(5):
        x = x + 1
    return x


def write(x, *rows):
    """A storage made without values, of which some rows are written."""
    out = x.new_empty(2, *x.shape[1:])
    for where in rows:
        out[where] = x[0]
    return out


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x, 1),
        (write, 1),
        (lambda x: write(x, 0), 2),
        (lambda x: write(x, 0, 1), 3),
        (lambda x: write(x, 0, 1, 1, 1), 3),  # never more than the whole
        (lambda x: torch.mul(x, 2, out=torch.empty_like(x)), 2),
        (lambda x: x + 1, 2),
        (lambda x: (x + 1).mul_(2).relu_(), 2),  # in place takes nothing
        (lambda x: x[:, :2].transpose(2, 3), 1),  # nor do views
        (lambda x: torch.cat((x[:, :2], x[:, 2:], x), 1), 3),
        (chain, 3),  # the input, what was, and what becomes of it
        (lambda x: [x + 1 for _ in range(5)][-1], 6),
        (lambda x: x.double(), 3),
    ],
)
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_peak_of_known_functions(function, expected, device):
    assert count_megabytes(function, device) == pytest.approx(expected)


def test_convolution_counts_the_copies_of_its_library(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    conv = torch.nn.Conv3d(5, 9, 3, padding=1, device="meta")
    n = 64 * 96 * 8 * 4 / MB
    peak_mb, library_mb = trace(conv, torch.empty(1, 5, 64, 96, 8, device="meta"))
    assert library_mb == pytest.approx(16 * n + 9 * n)  # nine channels in two blocks, then copied
    assert peak_mb == pytest.approx((5 + 16 + 9) * n, rel=1e-3)


@pytest.mark.parametrize("name", NETWORKS)
def test_tensors_without_values_take_what_tensors_with_values_take(name, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    module = networks.build(name)
    pair = torch.rand(2, 1, 1, 32, 48, 32)
    real = trace(module, *(x.clone() for x in pair))
    without = trace(module.to("meta"), *(torch.empty_like(x, device="meta") for x in pair))
    assert without == pytest.approx(real, rel=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_slabs_take_less(name, monkeypatch):
    monkeypatch.setattr(slabs, "SLAB_VOXELS", 2**15)
    whole, ours = (sum(count_tensors(name, (96, 96, 96), whole=w)) for w in (True, False))
    assert ours < 0.9 * whole


@pytest.mark.parametrize(
    ("spacing_mm", "shape"), [(0.6, (352, 352, 256)), (1.0, (224, 224, 160)), (2.0, (112, 112, 80))]
)
def test_whole_brain_grids_are_those_of_the_paper(spacing_mm, shape):
    assert whole_brain_grid(spacing_mm) == shape
