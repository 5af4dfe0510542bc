"""uniGradICON as its checkpoints have it: names and shapes; the authors' package computes with them."""

import torch
from torch import nn

# Channels of each of its four U-Nets, finest level first.
DOWN = (2, 16, 32, 64, 256, 512)
UP = (16, 32, 64, 128, 256)


class UniGradICON(nn.ModuleDict):
    """The tensors of the authors' network, without values and without a forward pass.

    Three U-Nets, each at twice the resolution of the one before it, then another at the finest.
    """

    required_multiple = 1  # images are resized to one grid, whatever they are

    def __init__(self):
        with torch.device("meta"):
            steps = _wrap(_make_unet())
            for _ in range(2):
                steps = _follow(_wrap(steps))
            super().__init__(_follow(steps))


def _follow(steps: nn.ModuleDict) -> nn.ModuleDict:
    return nn.ModuleDict({"netPhi": steps, "netPsi": _wrap(_make_unet())})


def _wrap(inner: nn.Module) -> nn.ModuleDict:
    return nn.ModuleDict({"net": inner})


def _make_unet() -> nn.ModuleDict:
    levels = range(len(UP))
    return nn.ModuleDict(
        {
            "downConvs": nn.ModuleList(nn.Conv3d(DOWN[i], DOWN[i + 1], 3) for i in levels),
            "upConvs": nn.ModuleList(
                nn.ConvTranspose3d(DOWN[i + 1] + sum(UP[i + 1 : i + 2]), UP[i], 4) for i in levels
            ),
            "batchNorms": nn.ModuleList(nn.BatchNorm3d(n) for n in UP),
            "lastConv": nn.Conv3d(DOWN[0] + UP[0], 3, 3),
        }
    )
