"""Registration networks, key-compatible with the checkpoints their authors published."""

from lumirage_lib.networks.catalogue import PUBLISHED, Published, build, load, required_multiple
from lumirage_lib.networks.lapirn import ConditionalLapIRN, LapIRN
from lumirage_lib.networks.symnet import SYMNet
from lumirage_lib.networks.vfa import VFA, infer_options
from lumirage_lib.networks.voxelmorph import VoxelMorph
from lumirage_lib.networks.weights import load_weights, read_state

__all__ = [
    "PUBLISHED",
    "VFA",
    "ConditionalLapIRN",
    "LapIRN",
    "Published",
    "SYMNet",
    "VoxelMorph",
    "build",
    "infer_options",
    "load",
    "load_weights",
    "read_state",
    "required_multiple",
]
