"""The network that labels tissue: 18 classes from one T1w brain, key-compatible with its weights.

brainchop's `big_robust_tissue`: dilated convolutions, a stage at half resolution in the middle, no
skip connections.
"""

from itertools import pairwise

from torch import nn

N_CLASSES = 18
WIDTHS = (32, 64)  # channels at full and at half resolution
DILATIONS = ((1, 2, 4, 6, 8), (10, 12, 16, 12, 10), (8, 6, 4, 2, 1))  # before, at and after half


def make_tissue_network() -> nn.Sequential:
    """The network in eval mode, weights random: (N, 1, X, Y, Z) to (N, 18, X, Y, Z) logits.

    Sides are even. The input is a whole head or brain at 1 mm in LIA, scaled to [0, 1] from the 2nd
    to the 98th percentile of a volume of 256^3; a part of a brain gives other labels than the whole.
    """
    narrow, wide = WIDTHS
    before, at_half, after = DILATIONS
    layers: list[nn.Module] = []
    for (n_in, n_out), dilation in zip(pairwise([1, *[narrow] * len(before)]), before, strict=True):
        layers += _convolve(n_in, n_out, dilation)
    layers += [nn.Conv3d(narrow, wide, 3, stride=2, padding=1), nn.SiLU(inplace=True)]
    for dilation in at_half:
        layers += _convolve(wide, wide, dilation)
    layers += [nn.ConvTranspose3d(wide, narrow, 2, stride=2)]
    for dilation in after:
        layers += _convolve(narrow, narrow, dilation)
    return nn.Sequential(*layers, nn.Conv3d(narrow, N_CLASSES, 1)).eval()


def _convolve(n_in: int, n_out: int, dilation: int) -> list[nn.Module]:
    return [
        nn.Conv3d(n_in, n_out, 3, padding=dilation, dilation=dilation),
        nn.SiLU(inplace=True),
    ]
