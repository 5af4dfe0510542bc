"""MIND-SSC: how similar the neighbours of a voxel are to each other, whatever the contrast.

Heinrich, Jenkinson, Papież, Brady & Schnabel, "Towards realtime multimodal fusion for image-guided
interventions using self-similarities", MICCAI 2013.
"""

from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import InputError

NEIGHBOURS = ((-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1))
# A voxel's six neighbours make fifteen pairs; the three of opposite ones are no edge of the context.
PAIRS = tuple(
    (a, b) for a, b in combinations(NEIGHBOURS, 2) if any(map(sum, zip(a, b, strict=True)))
)


def compute_local_mean(image: Tensor, window: int) -> Tensor:
    """Mean over a cube of `window` voxels, (N, C, X, Y, Z); at the edge of what of it there is.

    Raises
    ------
    InputError
        `window` is even, or not positive.
    """
    if window < 1 or window % 2 == 0:
        raise InputError(f"the window must be an odd number of voxels, got {window}")
    for axis in range(3):
        size = [window if i == axis else 1 for i in range(3)]
        padding = [n // 2 for n in size]
        image = F.avg_pool3d(image, size, 1, padding, count_include_pad=False)
    return image


def compute_mind_ssc(image: Tensor, radius: int = 2, dilation: int = 2) -> Tensor:
    """Twelve channels of local self-similarity: ``exp(-D / V)``.

    D is the mean squared difference of the patches about two of the six neighbours of a voxel, less
    the least of the twelve (so that the largest channel is 1); V, their mean, estimates the local
    noise. Unchanged by ``a * image + b`` with a of either sign, and away from the border also by
    one that holds in a region only, whence the use across contrasts. Compare two images by the mean
    squared difference of their descriptors.

    Parameters
    ----------
    image : Tensor, shape (N, 1, X, Y, Z)
        Continued at its borders by its edge values.
    radius : int
        Of the patch, voxels: its edge is 2 radius + 1.
    dilation : int
        Distance of a neighbour, voxels.

    Returns
    -------
    Tensor, shape (N, 12, X, Y, Z)
        In (0, 1]; 1 everywhere where the image is constant.

    Raises
    ------
    InputError
        Not one channel, or a radius or dilation below 1.
    """
    if image.ndim != 5 or image.shape[1] != 1:
        raise InputError(f"MIND-SSC: expected shape (N, 1, X, Y, Z), got {tuple(image.shape)}")
    if radius < 1 or dilation < 1:
        raise InputError(f"MIND-SSC: radius {radius} and dilation {dilation} must be at least 1")
    padded = F.pad(image, (dilation,) * 6, mode="replicate")

    def neighbour(offset) -> Tensor:
        box = (
            slice(dilation * (1 + step), dilation * (1 + step) + size)
            for step, size in zip(offset, image.shape[2:], strict=True)
        )
        return padded[(slice(None), slice(None), *box)]

    distances = [
        compute_local_mean((neighbour(a) - neighbour(b)).square(), 2 * radius + 1) for a, b in PAIRS
    ]
    distance = torch.cat(distances, 1)
    distance = distance - distance.amin(1, keepdim=True)
    noise = distance.mean(1, keepdim=True)
    # Bounds of the authors, per image; the last one keeps a constant image finite.
    typical = noise.mean((2, 3, 4), keepdim=True).clamp(min=1e-16)
    return torch.exp(-distance / noise.clamp(min=1e-3 * typical, max=1e3 * typical))
