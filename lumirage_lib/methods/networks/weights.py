"""Checkpoints into networks: strictly, safely, and with one sentence when they do not fit."""

import pickle
import pickletools
import re
import struct
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ...errors import WeightsError
from .voxelmorph import read_keras_state

PARALLEL = "module."
TORCH_SUFFIXES = (".pth", ".pt", ".tar", ".ckpt", ".trch")
MOST_PICKLE = 2**24  # bytes that are looked through for instructions
# What the readers raise on bytes that are cut short or not theirs.
UNREADABLE = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    struct.error,
    pickle.UnpicklingError,
)


def load_weights(module: nn.Module, path: str | Path) -> None:
    """Fill every parameter and buffer of `module` from a checkpoint, or change nothing.

    Parameters
    ----------
    module : nn.Module
        Its state dict must have the checkpoint's keys and shapes, none missing and none left over.
    path : str or Path
        `.safetensors`; a Keras file of VoxelMorph (`.h5`); or a PyTorch file (`.pth`, `.pt`,
        `.tar`, `.ckpt`, `.trch`) that holds tensors and plain containers only: no code is executed.

    Raises
    ------
    WeightsError
        No such file, unknown suffix, truncated or foreign bytes, a pickle of Python objects, a
        missing or unexpected key, or a wrong shape.
    """
    path = Path(path)
    state = read_state(path)
    check_state(state, module, path.name)
    module.load_state_dict(state)


def read_state(path: Path) -> dict[str, Tensor]:
    """Tensors of a checkpoint by name, on the CPU. Raises WeightsError as `load_weights`."""
    if not path.is_file():
        raise WeightsError(
            f"expected a checkpoint at {path}, found no file; fetch it or correct the path"
        )
    if path.suffix == ".safetensors":
        return _read(load_file, path, "a safetensors file")
    if path.suffix == ".h5":
        return _read(read_keras_state, path, "a Keras weights file")
    if path.suffix in TORCH_SUFFIXES:
        return _read_torch(path)
    known = ", ".join((".safetensors", ".h5", *TORCH_SUFFIXES))
    raise WeightsError(f"expected a checkpoint ending in one of {known}, got {path.name}")


def check_state(state: Mapping[str, Tensor], module: nn.Module, name: str) -> None:
    """Raise WeightsError unless keys and shapes of `state` are exactly the module's."""
    expected = module.state_dict()
    network = type(module).__name__
    for problem, keys in (
        ("lacks", [key for key in expected if key not in state]),
        ("has the unexpected", [key for key in state if key not in expected]),
    ):
        if keys:
            others = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            raise WeightsError(
                f"expected the {len(expected)} tensors of {network}, but {name} {problem} "
                f"{keys[0]}{others}; is it the checkpoint of another network or of other options?"
            )
    for key, tensor in expected.items():
        if state[key].shape != tensor.shape:
            raise WeightsError(
                f"expected {key} of {network} with shape {tuple(tensor.shape)}, but {name} has "
                f"{tuple(state[key].shape)}; build the network with the options it was trained with"
            )


def check_finite(state: Mapping[str, Tensor], name: str) -> None:
    """Raise WeightsError if a tensor holds NaN or infinite values, as after a training that diverged."""
    for key, tensor in state.items():
        if not torch.isfinite(tensor).all():
            n = int((~torch.isfinite(tensor)).sum())
            raise WeightsError(
                f"expected finite weights, but {n} of the {tensor.numel()} values of {key} in {name} "
                "are NaN or infinite; take a checkpoint from before the training diverged"
            )


def _read(reader: Callable[[Path], dict[str, Tensor]], path: Path, kind: str) -> dict[str, Tensor]:
    try:
        return reader(path)
    except (SafetensorError, *UNREADABLE) as error:
        raise _make_unreadable(path, kind) from error


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        if refused := _find_code(path, str(error)):
            raise WeightsError(
                f"expected plain tensors, but {path.name} {refused}, which could execute code on "
                "loading, so it was not loaded; save the state_dict alone, or fetch the file again "
                "if that is what it should hold"
            ) from error
        raise _make_unreadable(path, "a PyTorch checkpoint") from error
    return _find_state(content, path.name)


def _find_code(path: Path, complaint: str) -> str | None:
    """What in a file that torch refused is more than data, in words."""
    if "TorchScript" in complaint:
        return "is a TorchScript archive"
    if found := re.search(r"GLOBAL (\S+) (?:was not an allowed|whose module)", complaint):
        return f"pickles the Python object {found[1]}"
    try:  # old or foreign pickles, whose instructions torch's reader does not know
        names = [op.name for op, _, _ in pickletools.genops(path.read_bytes()[:MOST_PICKLE])]
    except (ValueError, IndexError, OSError, UnicodeDecodeError, struct.error, EOFError):
        return None
    calls = {"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "REDUCE", "NEWOBJ", "BUILD"}
    return "pickles Python objects" if calls.intersection(names) else None


def _find_state(content: object, name: str) -> dict[str, Tensor]:
    """The state dict itself, or the only one among a training checkpoint's entries."""
    candidates = [content, *content.values()] if isinstance(content, Mapping) else []
    found = [_strip_prefix(c) for c in candidates if _is_state(c)]
    if len(found) != 1:
        raise WeightsError(
            f"expected one state dict of named tensors in {name}, found {len(found)}; "
            "save the network's state_dict alone"
        )
    return found[0]


def _strip_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names that the network itself has: training on several devices puts one before all."""
    if all(key.startswith(PARALLEL) for key in state):
        return {key.removeprefix(PARALLEL): value for key, value in state.items()}
    return dict(state)


def _is_state(content: object) -> bool:
    return (
        isinstance(content, Mapping)
        and len(content) > 0
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items())
    )


def _make_unreadable(path: Path, kind: str) -> WeightsError:
    return WeightsError(
        f"expected {kind} at {path}, but its {path.stat().st_size} bytes cannot be read as one; "
        "it is truncated or of another format: fetch it again"
    )
