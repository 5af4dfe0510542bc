from __future__ import annotations

import pytest
import torch

from lumirage_lib.methods.networks import attention
from lumirage_lib.methods.networks.attention import attend


def attend_plainly(query, key):
    """The definition, with every voxel's 27 keys side by side."""
    windows = key.unfold(2, 3, 1).unfold(3, 3, 1).unfold(4, 3, 1).flatten(5)
    scores = (query.unsqueeze(-1) * windows).sum(1) / query.shape[1] ** 0.5
    steps = torch.tensor([-1, 0, 1], dtype=query.dtype)
    offsets = torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), -1).view(27, 3)
    return (scores.softmax(-1) @ offsets).movedim(-1, 1)


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(1)
    query = torch.randn((2, 5, 6, 4, 3), generator=generator, dtype=torch.float64)
    key = torch.randn((2, 5, 8, 6, 5), generator=generator, dtype=torch.float64)
    return query.requires_grad_(), key.requires_grad_()


@pytest.mark.parametrize("tile_voxels", [1, 30, 10**6])
def test_tiles_give_what_the_definition_gives(pair, tile_voxels, monkeypatch):
    monkeypatch.setitem(attention.TILE_VOXELS, "cpu", tile_voxels)
    ours, plain = attend(*pair), attend_plainly(*pair)
    assert torch.allclose(ours, plain, atol=1e-12)
    towards = torch.linspace(-1, 1, plain.numel(), dtype=torch.float64).view_as(plain)
    for got, expected in zip(
        torch.autograd.grad((ours * towards).sum(), pair),
        torch.autograd.grad((plain * towards).sum(), pair),
        strict=True,
    ):
        assert torch.allclose(got, expected, atol=1e-12)


def test_gradients_are_those_of_finite_differences(pair):
    query = pair[0][:1, :2, :2, :2, :2].detach().requires_grad_()
    key = pair[1][:1, :2, :4, :4, :4].detach().requires_grad_()
    assert torch.autograd.gradcheck(attend, (query, key))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("step", [-1, 1])
def test_one_matching_neighbour_gives_its_offset(axis, step):
    query = torch.full((1, 1, 3, 3, 3), 100.0)
    key = torch.zeros(1, 1, 5, 5, 5)
    neighbour = [2, 2, 2]
    neighbour[axis] += step
    key[(0, 0, *neighbour)] = 1
    expected = torch.zeros(3)
    expected[axis] = step
    assert torch.allclose(attend(query, key)[0, :, 1, 1, 1], expected)


def test_equal_keys_give_no_offset():
    offset = attend(torch.randn(1, 4, 3, 4, 5), torch.ones(1, 4, 5, 6, 7))
    assert torch.allclose(offset, torch.zeros_like(offset), atol=1e-6)


def test_scores_of_any_size_stay_finite():
    query, key = torch.full((1, 1, 2, 2, 2), 1e4), 1e4 * torch.randn(1, 1, 4, 4, 4)
    assert attend(query, key).isfinite().all()
