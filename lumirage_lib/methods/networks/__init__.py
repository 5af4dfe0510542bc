"""Registration networks, key-compatible with the checkpoints their authors published."""

from .catalogue import build, load, required_multiple
from .lapirn import ConditionalLapIRN, LapIRN
from .symnet import SYMNet
from .vfa import VFA, infer_options
from .voxelmorph import VoxelMorph
from .weights import load_weights, read_state

__all__ = [
    "VFA",
    "ConditionalLapIRN",
    "LapIRN",
    "SYMNet",
    "VoxelMorph",
    "build",
    "infer_options",
    "load",
    "load_weights",
    "read_state",
    "required_multiple",
]
