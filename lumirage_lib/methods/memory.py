"""Peak memory of one inference, predicted from the network's graph and measured.

The network runs on meta tensors, which have shapes and no values, while every storage that it
makes is counted until nothing refers to it any more: the peak of that sum is what the graph needs,
on any machine, for grids that no machine could hold. A storage made without values takes memory as
it is written, not before: so does the system hand out its pages. Two things come on top on a
processor: what the convolution library takes beside its input and output
(:func:`count_convolution_bytes`), and the process itself, which is measured on a tiny grid.

What is measured is a process that hands freed memory back (:func:`hand_back_freed_blocks`). Left to
its default, the C library keeps some, how much depends on where among small objects the blocks came
to lie, and the peak of one and the same inference changes from run to run.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import resource
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..errors import RegistrationError
from ..runs.child import Outcome, measure, run_child
from . import networks
from .networks.slabs import convolve_whole

MB = 2**20
TINY = (32, 32, 32)
Shape = tuple[int, int, int]

# Channels that oneDNN puts side by side in its own layout: the width of a vector register.
CHANNEL_BLOCK = {"AVX512": 16, "AVX2": 8}
UNFOLDED_CHANNELS = 2  # convolutions of at most so many channels unfold their input
# Where the sizes of the first four axes multiply to at most this, a single thread does without oneDNN.
SMALL = 20480
M_MMAP_THRESHOLD = -3  # of mallopt in the GNU C library
HAND_BACK_MB = 1.0

_aten = torch.ops.aten
UNWRITTEN = (  # operations that make a storage and write nothing into it
    _aten.empty.memory_format,
    _aten.empty_like.default,
    _aten.empty_strided.default,
    _aten.new_empty.default,
    _aten.new_empty_strided.default,
)


@dataclass(frozen=True)
class Prediction:
    """Predicted peak of one inference, MB.

    Attributes
    ----------
    graph_mb : float
        Largest sum of the tensors alive at one time: inputs, weights, what lies between, output.
    library_mb : float
        What the convolution library holds beside them at the moment when the sum of both peaks.
    process_mb : float
        The process before it sees an image: interpreter, libraries, their code for this processor.
    """

    graph_mb: float
    library_mb: float
    process_mb: float

    @property
    def peak_mb(self) -> float:
        return self.graph_mb + self.library_mb + self.process_mb


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
    copy is gone. Where oneDNN has no such kernel (one or two channels, transposed), and where
    PyTorch keeps a small convolution for itself, every window is unfolded for a matrix product.
    """
    n_bytes = _count_bytes(out)
    if transposed:
        return _count_bytes(x[:, :1]) * weight[0].numel() + 2 * n_bytes + _count_bytes(x)
    small = prod(x.shape[:4]) <= SMALL and stride == 1 and weight.shape[-1] <= 3
    if small or x.shape[1] <= UNFOLDED_CHANNELS:
        return n_bytes + max(_count_bytes(out[:, :1]) * weight[0].numel(), n_bytes * (not small))
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


def predict(network: str, shape: Shape, *, whole: bool = False, **options) -> Prediction:
    """Peak memory of one inference by a network on one processor thread.

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
    graph_mb, library_mb = count_tensors(network, shape, whole=whole, **options)
    return Prediction(graph_mb, library_mb, measure_process(network, **options))


def count_tensors(
    network: str, shape: Shape, *, whole: bool = False, **options
) -> tuple[float, float]:
    """What tensors take at the peak, and what the convolution library adds, MB; see `predict`."""
    with torch.device("meta"):
        module = networks.build(network, **options)
        pair = [torch.empty(1, 1, *shape) for _ in range(2)]
    with convolve_whole() if whole else contextlib.nullcontext():
        peak_mb, library_mb = trace(module, *pair)
    return peak_mb - library_mb, library_mb


@functools.cache
def measure_process(network: str, **options) -> float:
    """Memory of a process that is ready to run the network: it has, on a tiny grid; MB."""
    outcome = measure_peak(network, TINY, **options)
    if outcome.status != "ok":
        raise RegistrationError(f"{network} on {TINY}: {outcome.reason}", status=outcome.status)
    return outcome.value.peak_mb - outcome.value.method_mb


def measure_peak(
    network: str,
    shape: Shape,
    *,
    whole: bool = False,
    hand_back: bool = True,
    budget_mb: float | None = None,
    timeout_seconds: float = 3600.0,
    **options,
) -> Outcome:
    """Run one inference on random images in a child process of one thread.

    Parameters
    ----------
    network, shape, whole, options
        As for :func:`predict`; the weights are random, which changes no size.
    hand_back : bool
        See :func:`hand_back_freed_blocks`; otherwise the C library does as it is used to.
    budget_mb : float, optional
        Address space the child may take beyond what it has when the images are there; what needs
        more ends as "out-of-memory".

    Returns
    -------
    Outcome
        Its value is a :class:`lumirage_lib.runs.child.Usage`.
    """
    arguments = (network, shape, whole, hand_back, budget_mb, options)
    return run_child(_infer, *arguments, timeout_seconds=timeout_seconds)


def _infer(network: str, shape: Shape, whole: bool, hand_back: bool, budget_mb, options: Mapping):
    if hand_back:
        hand_back_freed_blocks()
    module = networks.build(network, **options)
    context = convolve_whole() if whole else contextlib.nullcontext()
    with torch.inference_mode(), context:
        module(*torch.rand(2, 1, 1, *TINY))  # loads the libraries' code
        pair = torch.rand(2, 1, 1, *shape)
        if budget_mb is not None:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            limit = pages * resource.getpagesize() + int(budget_mb * MB)
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        with measure() as usage:
            module(*pair)
    return usage


def hand_back_freed_blocks() -> None:
    """Have the C library give every freed block of 1 MB and more back to the system at once.

    By default the GNU C library raises that limit to 32 MB as blocks are freed, and keeps smaller
    ones: an aligned block does not fit into the gap that one of its size leaves, so the gaps add up.
    Costs some processor time, since memory that was given back comes again as empty pages; changes
    no result. Nothing happens where the C library is another one.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, int(HAND_BACK_MB * MB))


def whole_brain_grid(spacing_mm: float, multiple: int = 16) -> Shape:
    """Grid over the box of the UltraCortex brains: 352 x 352 x 256 at 0.6 mm.

    Sides are rounded up to a `multiple`, as pooling needs; 1 mm gives 224 x 224 x 160.
    """
    sides = (ceil(n * 0.6 / spacing_mm / multiple - 1e-9) * multiple for n in (352, 352, 256))
    return tuple(sides)
