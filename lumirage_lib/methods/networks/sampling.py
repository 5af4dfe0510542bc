"""Sampling in the unit coordinates of `grid_sample`, as networks of the LapIRN line use them.

A unit flow has shape (N, 3, X, Y, Z), components in `grid_sample` order (last array axis first),
in units where -1 and 1 are the centres of the first and the last voxel (`align_corners=True`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def make_unit_grid(shape: tuple[int, int, int], like: Tensor, rows: slice = slice(None)) -> Tensor:
    """Identity sampling grid, (1, X, Y, Z, 3), last array axis first, from -1 to 1.

    `rows` picks along the first array axis.
    """
    x, y, z = (torch.linspace(-1, 1, n, dtype=like.dtype, device=like.device) for n in shape)
    x, y, z = torch.meshgrid(x[rows], y, z, indexing="ij")
    return torch.stack((z, y, x), dim=-1).unsqueeze(0)


def warp_by_unit_flow(
    image: Tensor, flow: Tensor, rows: slice = slice(None), padding_mode: str = "border"
) -> Tensor:
    """`image(x + flow(x))`, trilinear, (N, C, X, Y, Z); outside, edge values or `zeros`.

    Only the `rows` of the first array axis are computed and returned.
    """
    grid = make_unit_grid(flow.shape[2:], flow, rows)
    grid = grid + flow[:, :, rows].permute(0, 2, 3, 4, 1)
    options = {"mode": "bilinear", "padding_mode": padding_mode, "align_corners": True}
    n_parts = _count_parts(grid)
    if n_parts == 1:
        return F.grid_sample(image, grid, **options)
    # On a CPU a batch is what grid_sample shares among threads: make one of the rows.
    parts = F.grid_sample(
        image.expand(n_parts, -1, -1, -1, -1), grid.view(n_parts, -1, *grid.shape[2:]), **options
    )
    return parts.transpose(0, 1).reshape(1, image.shape[1], *grid.shape[1:4])


def _count_parts(grid: Tensor) -> int:
    """Into how many equal batches of rows to divide one sample's sampling."""
    if grid.device.type != "cpu" or grid.shape[0] > 1 or torch.is_grad_enabled():
        return 1
    n_rows = grid.shape[1]
    return max(n for n in range(1, torch.get_num_threads() + 1) if n_rows % n == 0)


def integrate_unit_velocity(
    velocity: Tensor, steps: int = 7, padding_mode: str = "border"
) -> Tensor:
    """Displacement of a stationary velocity by scaling and squaring (Arsigny et al. 2006)."""
    flow = velocity / 2**steps
    for _ in range(steps):
        flow = flow + warp_by_unit_flow(flow, flow, padding_mode=padding_mode)
    return flow


def convert_unit_to_voxels(flow: Tensor) -> Tensor:
    """Unit flow to a displacement in voxels, components in array axis order.

    The span from -1 to 1 is n - 1 voxels. (The published LapIRN scripts save flow * n, which is
    not the displacement their own warping applies.)
    """
    return flow.flip(1).mul_(_half_extent(flow))


def convert_voxels_to_unit(displacement: Tensor) -> Tensor:
    """Inverse of `convert_unit_to_voxels`."""
    return (displacement / _half_extent(displacement)).flip(1)


def _half_extent(field: Tensor) -> Tensor:
    return field.new_tensor([max(n - 1, 1) / 2 for n in field.shape[2:]]).view(1, 3, 1, 1, 1)
