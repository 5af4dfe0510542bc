"""The networks by name: how each is built and filled with weights."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch
from torch import nn

from ...errors import InputError
from .lapirn import ConditionalLapIRN, LapIRN
from .lkunet import LKUNet
from .symnet import SYMNet
from .vfa import VFA, infer_options
from .voxelmorph import VoxelMorph
from .weights import load_weights, read_state

BUILDERS: Mapping[str, Callable[..., nn.Module]] = MappingProxyType(
    {
        "lapirn-disp": partial(LapIRN, diffeomorphic=False),
        "lapirn-diff": partial(LapIRN, diffeomorphic=True),
        "clapirn": ConditionalLapIRN,
        "lkunet": LKUNet,
        "symnet": SYMNet,
        "vfa": VFA,
        "voxelmorph": VoxelMorph,
    }
)


def build(name: str, **options) -> nn.Module:
    """Network `name` in eval mode, its weights random until `load_weights`.

    Its `forward(fixed, moving)` takes float32 (N, 1, X, Y, Z) and returns the displacement
    (N, 3, X, Y, Z): voxels of the fixed grid, array axis order,
    moved(x) = moving(x + displacement(x)).

    Raises
    ------
    InputError
        Unknown name, or an option that network does not take.
    """
    if name not in BUILDERS:
        raise InputError(f"expected a network of {', '.join(BUILDERS)}, got {name!r}")
    try:
        return BUILDERS[name](**options).eval()
    except TypeError as error:
        raise InputError(f"{name} cannot be built with options {options}: {error}") from error


def load(name: str, path: str | Path, **options) -> nn.Module:
    """Network `name` with the weights at `path`, in eval mode.

    Sizes that the weights decide, as those of VFA do, are read off them. Raises as `build` and
    :func:`lumirage_lib.methods.networks.load_weights`.
    """
    if name == "vfa":
        options = {**infer_options(read_state(Path(path))), **options}
    module = build(name, **options)
    load_weights(module, path)
    return module


def required_multiple(name: str, **options) -> int:
    """Number of which every side of the grid must be a multiple for network `name`."""
    with torch.device("meta"):
        return build(name, **options).required_multiple
