"""Peak memory of one inference, predicted and measured.

A prediction is what the network's graph needs (:mod:`lumirage_lib.methods.networks.memory`) and the
process itself, which is measured on a tiny grid. What is measured is a process that hands freed
memory back (:func:`hand_back_freed_blocks`). Left to its default, the C library keeps some, how much
depends on where among small objects the blocks came to lie, and the peak of one and the same
inference changes from run to run.
"""

import contextlib
import ctypes
import functools
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import InputError, RegistrationError
from ..images.reading import check_size
from ..methods import networks
from ..methods.networks.memory import MB, Shape, count_tensors
from ..methods.networks.slabs import convolve_whole
from .child import Outcome, Usage, measure, run_child

TINY = (32, 32, 32)
M_MMAP_THRESHOLD = -3  # of mallopt in the GNU C library
HAND_BACK_MB = 1.0


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


def predict(network: str, shape: Shape, *, whole: bool = False, **options: Any) -> Prediction:
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
    if min(shape) < 1:
        raise InputError(f"--shape {shape}: expected three sides of one voxel or more")
    check_size(shape, "--shape")
    graph_mb, library_mb = count_tensors(network, shape, whole=whole, **options)
    return Prediction(graph_mb, library_mb, measure_process(network, **options))


@functools.cache
def measure_process(network: str, **options: Any) -> float:
    """Memory of a process that is ready to run the network: it has, on a tiny grid; MB."""
    outcome = measure_peak(network, TINY, **options)
    if outcome.status != "ok":
        raise RegistrationError(f"{network} on {TINY}: {outcome.reason}", status=outcome.status)
    return float(outcome.value.peak_mb - outcome.value.method_mb)


def measure_peak(
    network: str,
    shape: Shape,
    *,
    whole: bool = False,
    hand_back: bool = True,
    budget_mb: float | None = None,
    timeout_seconds: float = 3600.0,
    **options: Any,
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


def _infer(
    network: str,
    shape: Shape,
    whole: bool,
    hand_back: bool,
    budget_mb: float | None,
    options: Mapping[str, Any],
) -> Usage:
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
