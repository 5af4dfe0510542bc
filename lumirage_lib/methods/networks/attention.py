"""Attention of every voxel to the 3 x 3 x 3 window around it, without unfolding the windows.

For a query q at x and keys k, the expected offset under softmax(q . k(x + r) / sqrt(C)) over the
27 offsets r (Liu et al. 2024, section 3). The plain form holds 27 keys per voxel; this one goes
through the volume in tiles that stay in the processor's cache, and computes the weights again in
the backward pass, so that neither pass holds more than its inputs and outputs.
"""

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

TILE_VOXELS = {"cpu": 2**15, "cuda": 2**22}  # a processor's cache; a graphics card's few launches
SHIFTS = tuple(product((0, 1, 2), repeat=3))  # of the window's corner in the padded keys


def attend(query: Tensor, key: Tensor) -> Tensor:
    """Expected offset, in voxels, array axis order.

    Parameters
    ----------
    query : Tensor
        (N, C, X, Y, Z).
    key : Tensor
        (N, C, X + 2, Y + 2, Z + 2): one voxel of padding on every side, whatever it holds.

    Returns
    -------
    Tensor
        (N, 3, X, Y, Z), each component in (-1, 1).
    """
    # The tiles are rows of planes of one channel; channels-last convolutions leave another layout.
    return _WindowAttention.apply(query.contiguous(), key.contiguous())


class _WindowAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query: Tensor, key: Tensor) -> Tensor:
        ctx.save_for_backward(query, key)
        offset = query.new_empty((query.shape[0], 3, *query.shape[2:]))
        offsets = _make_offsets(query)
        for tile in _iterate_tiles(query):
            weights = _compute_weights(*_cut(query, key, tile))
            offset[tile] = (offsets.T @ weights.flatten(1)).view(3, *weights.shape[1:])
            if query.is_meta:  # without values one tile is like the other
                return offset.zero_()
        return offset

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:
        query, key = ctx.saved_tensors
        grad_query, grad_key = torch.zeros_like(query), torch.zeros_like(key)
        offsets = _make_offsets(query)
        for tile in _iterate_tiles(query):
            q, k = _cut(query, key, tile)
            grad_q, grad_k = _cut(grad_query, grad_key, tile)
            weights = _compute_weights(q, k)
            # Of a softmax: its weight times the deviation of what it weighs from the mean.
            weighed = (offsets @ grad[tile].flatten(1)).view_as(weights)
            grad_scores = weights * (weighed - (weights * weighed).sum(0)) * q.shape[0] ** -0.5
            for shift, grad_score in zip(SHIFTS, grad_scores, strict=True):
                window = _window(shift, q.shape)
                grad_q += grad_score * k[window]
                grad_k[window] += grad_score * q
        return grad_query, grad_key


def _iterate_tiles(query: Tensor) -> Iterator[tuple]:
    """Indices (sample, all channels, rows) that cover (N, C, X, Y, Z)."""
    shape, voxels = query.shape, TILE_VOXELS.get(query.device.type, TILE_VOXELS["cpu"])
    rows = max(1, voxels // (shape[3] * shape[4]))
    for sample in range(shape[0]):
        for start in range(0, shape[2], rows):
            yield sample, slice(None), slice(start, min(start + rows, shape[2]))


def _cut(query: Tensor, key: Tensor, tile: tuple) -> tuple[Tensor, Tensor]:
    """The tile's queries, and the keys its windows reach."""
    sample, channels, rows = tile
    return query[tile], key[sample, channels, rows.start : rows.stop + 2]


def _window(shift: tuple[int, int, int], shape: torch.Size) -> tuple[slice, ...]:
    return (slice(None), *(slice(s, s + n) for s, n in zip(shift, shape[1:], strict=True)))


def _compute_weights(query: Tensor, key: Tensor) -> Tensor:
    """Softmax over the window, (27, X, Y, Z), of (C, X, Y, Z) and (C, X + 2, Y + 2, Z + 2)."""
    scores = query.new_empty((len(SHIFTS), *query.shape[1:]))
    query = query * query.shape[0] ** -0.5
    products = torch.empty_like(query)
    for score, shift in zip(scores, SHIFTS, strict=True):
        torch.mul(query, key[_window(shift, query.shape)], out=products)
        torch.sum(products, 0, out=score)
    return scores.softmax(0)


def _make_offsets(like: Tensor) -> Tensor:
    """The 27 offsets in the order of SHIFTS, (27, 3)."""
    return like.new_tensor(SHIFTS) - 1
