"""Convolution slab by slab, so that no temporary is as large as the volume.

A convolution of the whole makes copies of its input and output in the layout its library wants,
and what is concatenated, upsampled or warped only to be convolved is a copy of its own. Here the
input exists one slab of the first axis at a time. The result is that of the whole.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLAB_VOXELS = 2**19

# Rows start to stop of the first spatial axis of a tensor (N, C, X, Y, Z) that need not exist.
Rows = Callable[[int, int], Tensor]


def convolve(conv: nn.Conv3d, rows: Rows, shape: tuple[int, int, int]) -> Tensor:
    """`conv` (kernel 3, stride 1) of the tensor of that shape whose rows are given, zeros outside.

    With gradients recorded the tensor is taken in one piece: autograd would keep the slabs anyway.
    """
    n = shape[0]
    if torch.is_grad_enabled():
        return F.conv3d(rows(0, n), conv.weight, conv.bias, padding=1)
    step = max(1, SLAB_VOXELS // (shape[1] * shape[2]))
    out = None
    for start in range(0, n, step):
        stop = min(start + step, n)
        first, last = max(start - 1, 0), min(stop + 1, n)
        slab = rows(first, last).to(conv.weight.dtype)
        slab = F.pad(slab, (0, 0, 0, 0, first - start + 1, stop + 1 - last))
        part = F.conv3d(slab, conv.weight, conv.bias, padding=(0, 1, 1))
        if out is None:
            out = part.new_empty((*part.shape[:2], *shape))
        out[:, :, start:stop] = part
    return out


def take_rows(*parts: Tensor | Rows) -> Rows:
    """Rows of tensors, or of what has rows only, concatenated along the channels."""

    def rows(start: int, stop: int) -> Tensor:
        taken = [p(start, stop) if callable(p) else p[:, :, start:stop] for p in parts]
        return torch.cat(taken, dim=1) if len(taken) > 1 else taken[0]

    return rows


def take_repeated_rows(x: Tensor) -> Rows:
    """Rows of `x` at twice the resolution, every voxel repeated."""

    def rows(start: int, stop: int) -> Tensor:
        first = start // 2
        planes = x[:, :, first : (stop + 1) // 2].repeat_interleave(2, dim=2)
        planes = planes[:, :, start - 2 * first : stop - 2 * first]
        return planes.repeat_interleave(2, dim=3).repeat_interleave(2, dim=4)

    return rows


def take_doubled_rows(x: Tensor) -> Rows:
    """Rows of `x` at twice the resolution, trilinear, end voxels on end voxels."""
    n = x.shape[2]

    def rows(start: int, stop: int) -> Tensor:
        position = torch.arange(start, stop, device=x.device) * ((n - 1) / (2 * n - 1))
        below = position.long().clamp(max=max(n - 2, 0))
        above = (below + 1).clamp(max=n - 1)
        weight = (position - below).to(x.dtype).view(-1, 1, 1)
        planes = torch.lerp(x[:, :, below], x[:, :, above], weight)
        size = (stop - start, 2 * x.shape[3], 2 * x.shape[4])
        return F.interpolate(planes, size=size, mode="trilinear", align_corners=True)

    return rows
