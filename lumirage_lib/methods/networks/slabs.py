"""Convolution slab by slab, so that no temporary is as large as the volume.

A convolution of the whole makes copies of its input and output in the layout its library wants,
and what is concatenated, upsampled or warped only to be convolved is a copy of its own. Here the
input exists one slab of the first axis at a time. The result is that of the whole.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLAB_VOXELS = 2**20

# Rows start to stop of the first spatial axis of a tensor (N, C, X, Y, Z) that need not exist.
Rows = Callable[[int, int], Tensor]

_whole: ContextVar[bool] = ContextVar("whole", default=False)


@contextmanager
def convolve_whole() -> Iterator[None]:
    """Within it every convolution takes its input whole, as the authors' own modules do."""
    token = _whole.set(True)
    try:
        yield
    finally:
        _whole.reset(token)


def convolve(
    conv: nn.Conv3d, *parts: Tensor | Rows, shape: tuple[int, int, int] | None = None
) -> Tensor:
    """`conv` of the parts concatenated along their channels.

    With gradients recorded the parts are taken whole: autograd would keep the slabs anyway.

    Parameters
    ----------
    parts : Tensor or Rows
        All on one grid (X, Y, Z).
    shape : tuple of int
        That grid; by default the last part's, which must then be a tensor.
    """
    shape = shape or parts[-1].shape[2:]
    (kernel, *_), (stride, *_), (padding, *others) = conv.kernel_size, conv.stride, conv.padding
    n_out = (shape[0] + 2 * padding - kernel) // stride + 1
    step = max(1, SLAB_VOXELS // (stride * shape[1] * shape[2]))
    if torch.is_grad_enabled() or _whole.get() or step >= n_out:
        whole = _take(parts, 0, shape[0]).to(conv.weight.dtype)
        return F.conv3d(whole, conv.weight, conv.bias, conv.stride, conv.padding)
    out = None
    for start in range(0, n_out, step):
        stop = min(start + step, n_out)
        first, last = start * stride - padding, (stop - 1) * stride - padding + kernel
        slab = _take(parts, max(first, 0), min(last, shape[0])).to(conv.weight.dtype)
        slab = F.pad(slab, (0, 0, 0, 0, max(-first, 0), max(last - shape[0], 0)))
        slab = F.conv3d(slab, conv.weight, conv.bias, conv.stride, (0, *others))
        if out is None:
            out = slab.new_empty((*slab.shape[:2], n_out, *slab.shape[3:]))
        out[:, :, start:stop] = slab
    return out


def _take(parts: tuple[Tensor | Rows, ...], start: int, stop: int) -> Tensor:
    taken = [p(start, stop) if callable(p) else p[:, :, start:stop] for p in parts]
    return torch.cat(taken, dim=1) if len(taken) > 1 else taken[0]


def take_transposed_rows(conv: nn.ConvTranspose3d, x: Tensor) -> Rows:
    """Rows of the transposed convolution (kernel 2, stride 2) of `x`."""

    def rows(start: int, stop: int) -> Tensor:
        first = start // 2
        planes = conv(x[:, :, first : (stop + 1) // 2])
        return planes[:, :, start - 2 * first : stop - 2 * first]

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
