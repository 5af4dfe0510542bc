"""Peak memory of one inference, counted on the network's graph.

The network runs on meta tensors, which have shapes and no values, while every storage that it
makes is counted until nothing refers to it any more: the peak of that sum is what the graph needs,
on any machine, for grids that no machine could hold. A storage made without values takes memory as
it is written, not before: so does the system hand out its pages. Two things come on top on a
processor: what the convolution library takes beside its input and output
(:func:`count_convolution_bytes`), and the process itself; :mod:`lumirage_lib.runs.memory` measures
that and adds it.
"""

import contextlib
import weakref
from collections.abc import Callable, Iterator
from math import ceil, prod

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .catalogue import build
from .slabs import convolve_whole

MB = 2**20
Shape = tuple[int, int, int]

# Channels that oneDNN puts side by side in its own layout: the width of a vector register.
CHANNEL_BLOCK = {"AVX512": 16, "AVX2": 8}
PLAIN_CHANNELS = 2  # it reads an input of at most so many channels as it is
# Where the sizes of the first four axes multiply to at most this, a single thread does without oneDNN.
SMALL = 20480

_aten = torch.ops.aten
UNWRITTEN = (  # operations that make a storage and write nothing into it
    _aten.empty.memory_format,
    _aten.empty_like.default,
    _aten.empty_strided.default,
    _aten.new_empty.default,
    _aten.new_empty_strided.default,
)


class _Followed(weakref.ref):
    """A storage, not kept alive, and how many of its bytes take memory."""

    __slots__ = ("n_bytes",)


class StorageCounter(TorchDispatchMode):
    """Within it, `peak` follows the bytes of all living storages, `library` those of convolutions.

    Storages are followed by weak references, so views and custom autograd functions need no special
    case. Of one that was made without values, what in-place operations write is counted, a place
    written twice as two, at most the whole.
    """

    def __init__(self):
        super().__init__()
        self.live = 0
        self.peak = 0
        self.library = 0
        self._followed: dict[int, _Followed] = {}

    def follow(self, values: object, *, written: bool = True) -> None:
        """Count the storages behind the tensors among these values, each once."""
        for tensor in _iterate_tensors(values):
            storage = tensor.untyped_storage()
            if self._find(storage) is None:
                followed = self._followed[storage._cdata] = _Followed(storage, self._forget)
                followed.n_bytes = storage.nbytes() if written else 0
                self.live += followed.n_bytes
        self._note(0)

    def _find(self, storage: torch.UntypedStorage) -> _Followed | None:
        followed = self._followed.get(storage._cdata)
        return None if followed is None or followed() is None else followed

    def _forget(self, followed: _Followed) -> None:
        self.live -= followed.n_bytes

    def _write(self, values: object) -> None:
        for tensor in _iterate_tensors(values):
            followed, n_all = self._find(storage := tensor.untyped_storage()), storage.nbytes()
            if followed is not None:
                n_bytes = min(_count_bytes(tensor), n_all - followed.n_bytes)
                followed.n_bytes += n_bytes
                self.live += n_bytes
        self.follow(values)

    def _note(self, library: int) -> None:
        if self.live + library > self.peak:
            self.peak, self.library = self.live + library, library

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        if function is _aten.convolution.default:
            x, weight, stride, transposed = (arguments[i] for i in (0, 1, 3, 6))
            self._note(count_convolution_bytes(x, weight, result, max(stride), transposed))
        if function in UNWRITTEN:
            self.follow(result, written=False)
        elif function._schema.is_mutable:
            self._write(result)
        else:
            self.follow(result)
        return result


def _iterate_tensors(values: object) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor))


def count_convolution_bytes(
    x: Tensor, weight: Tensor, out: Tensor, stride: int, transposed: bool
) -> int:
    """Largest memory a convolution takes at one time, its output included, its input not.

    PyTorch gives it to oneDNN, which computes in a layout of its own, channels in blocks of a
    vector register's width: the input is copied into it, and the output out of it when the input's
    copy is gone. Where oneDNN has no such kernel (transposed), and where PyTorch keeps a small
    convolution for itself, every window is unfolded for a matrix product.
    """
    n_bytes = _count_bytes(out)
    if transposed:
        return _count_bytes(x[:, :1]) * weight[0].numel() + 2 * n_bytes + _count_bytes(x)
    small = prod(x.shape[:4]) <= SMALL and stride == 1 and weight.shape[-1] <= 3
    if small:
        return n_bytes + _count_bytes(out[:, :1]) * weight[0].numel()
    if x.shape[1] <= PLAIN_CHANNELS:
        return _count_blocked(out) + n_bytes
    return _count_blocked(out) + max(_count_blocked(x), n_bytes)


def _count_bytes(x: Tensor) -> int:
    return x.numel() * x.element_size()


def _count_blocked(x: Tensor) -> int:
    block = CHANNEL_BLOCK.get(torch.backends.cpu.get_cpu_capability(), 1)
    return _count_bytes(x[:, :1]) * -(-x.shape[1] // block) * block


def trace(function: Callable[..., Tensor], *tensors: Tensor) -> tuple[float, float]:
    """Peak of the tensors alive while ``function(*tensors)`` runs, MB, and of it the library's part.

    Nothing is computed if the tensors are on the meta device; no gradient is recorded.
    """
    with torch.no_grad(), StorageCounter() as counter:  # sees composites in their parts
        counter.follow(tensors)
        result = function(*tensors)
        counter.follow(result)
    return counter.peak / MB, counter.library / MB


def count_tensors(
    network: str, shape: Shape, *, whole: bool = False, **options
) -> tuple[float, float]:
    """What tensors take at the peak of one inference, and what the convolution library adds, MB.

    Parameters
    ----------
    network : str
        Name for :func:`lumirage_lib.methods.networks.build`; `options` are its.
    shape : tuple of int
        Grid of both images, in the array order of the network.
    whole : bool
        Convolve whole volumes, as the authors' own modules do, not slab by slab.

    Raises
    ------
    InputError
        The network does not exist, or does not take that grid.
    """
    with torch.device("meta"):
        module = build(network, **options)
        pair = [torch.empty(1, 1, *shape) for _ in range(2)]
    with convolve_whole() if whole else contextlib.nullcontext():
        peak_mb, library_mb = trace(module, *pair)
    return peak_mb - library_mb, library_mb


def whole_brain_grid(spacing_mm: float, multiple: int = 16) -> Shape:
    """Grid over the box of the UltraCortex brains: 352 x 352 x 256 at 0.6 mm.

    Sides are rounded up to a `multiple`, as pooling needs; 1 mm gives 224 x 224 x 160.
    """
    sides = (ceil(n * 0.6 / spacing_mm / multiple - 1e-9) * multiple for n in (352, 352, 256))
    return tuple(sides)
