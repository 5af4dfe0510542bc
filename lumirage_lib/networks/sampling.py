"""Sampling in the unit coordinates of `grid_sample`, as networks of the LapIRN line use them.

A unit flow has shape (N, 3, X, Y, Z), components in `grid_sample` order (last array axis first),
in units where -1 and 1 are the centres of the first and the last voxel (`align_corners=True`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def make_unit_grid(shape: tuple[int, int, int], like: Tensor) -> Tensor:
    """Identity sampling grid, (1, X, Y, Z, 3), last array axis first, from -1 to 1."""
    axes = [torch.linspace(-1, 1, n, dtype=like.dtype, device=like.device) for n in shape]
    x, y, z = torch.meshgrid(*axes, indexing="ij")
    return torch.stack((z, y, x), dim=-1).unsqueeze(0)


def warp_by_unit_flow(image: Tensor, flow: Tensor) -> Tensor:
    """`image(x + flow(x))`, trilinear, edge values repeated outside; (N, C, X, Y, Z)."""
    grid = make_unit_grid(flow.shape[2:], flow).add(flow.permute(0, 2, 3, 4, 1))
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=True)


def integrate_unit_velocity(velocity: Tensor, steps: int = 7) -> Tensor:
    """Displacement of a stationary velocity by scaling and squaring (Arsigny et al. 2006)."""
    flow = velocity / 2**steps
    for _ in range(steps):
        flow = flow + warp_by_unit_flow(flow, flow)
    return flow


def convert_unit_to_voxels(flow: Tensor) -> Tensor:
    """Unit flow to a displacement in voxels, components in array axis order.

    The span from -1 to 1 is n - 1 voxels. (The published LapIRN scripts save flow * n, which is
    not the displacement their own warping applies.)
    """
    half_extent = [(n - 1) / 2 for n in flow.shape[2:]]
    scale = flow.new_tensor(half_extent).view(1, 3, 1, 1, 1)
    return flow.flip(1).mul_(scale)
