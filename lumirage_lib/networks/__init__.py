"""Registration networks, key-compatible with the checkpoints their authors published."""

from lumirage_lib.networks.catalogue import PUBLISHED, Published, build, required_multiple
from lumirage_lib.networks.lapirn import ConditionalLapIRN, LapIRN
from lumirage_lib.networks.symnet import SYMNet
from lumirage_lib.networks.weights import load_weights

__all__ = [
    "PUBLISHED",
    "ConditionalLapIRN",
    "LapIRN",
    "Published",
    "SYMNet",
    "build",
    "load_weights",
    "required_multiple",
]
