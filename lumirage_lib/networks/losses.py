"""Similarity and regularity that can be minimised: for training, and for refining one pair."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lumirage_lib.errors import InputError


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


def compute_ncc_loss(moved: Tensor, fixed: Tensor, window: int = 9) -> Tensor:
    """One minus the mean squared local correlation: 0 for images alike, 1 for unrelated ones.

    Squared, so that a locally inverted contrast counts as alike. Avants et al. (2008), Med. Image
    Anal. 12:26, eq. 5; Balakrishnan et al. (2019), IEEE TMI 38:1788, eq. 7.

    Parameters
    ----------
    moved, fixed : Tensor, shape (N, C, X, Y, Z)
        Their scale does not matter. Where an image is locally constant, as in air, the correlation
        is 0.
    window : int
        Edge of the cube in voxels, odd.

    Returns
    -------
    Tensor
        Scalar.
    """
    mean_a, mean_b = compute_local_mean(moved, window), compute_local_mean(fixed, window)
    variance_a = (compute_local_mean(moved * moved, window) - mean_a**2).clamp(min=0)
    variance_b = (compute_local_mean(fixed * fixed, window) - mean_b**2).clamp(min=0)
    covariance = compute_local_mean(moved * fixed, window) - mean_a * mean_b
    # Relative to the images, so that their scale cancels and noise in air does not correlate.
    floor = 1e-4 * (variance_a.mean() * variance_b.mean()).detach() + 1e-20
    return 1 - (covariance**2 / (variance_a * variance_b + floor)).mean()


def compute_gradient_loss(displacement: Tensor) -> Tensor:
    """Mean squared derivative of a displacement: the diffusion energy.

    Parameters
    ----------
    displacement : Tensor, shape (N, 3, X, Y, Z)
        Voxels; forward differences per voxel, so the value does not depend on the voxel size. 0 for
        a translation.

    Returns
    -------
    Tensor
        Scalar, mean over the nine derivatives.
    """
    squares = [displacement.diff(dim=axis).square().mean() for axis in (2, 3, 4)]
    return torch.stack(squares).mean()
