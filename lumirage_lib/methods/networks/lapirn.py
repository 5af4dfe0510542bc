"""Laplacian pyramid registration networks: LapIRN and its conditional form.

Mok & Chung, "Large deformation diffeomorphic image registration with Laplacian pyramid networks",
MICCAI 2020; "Conditional deformable image registration with convolutional neural network",
MICCAI 2021. Three levels, coarse to fine: each sees the moving image warped by what the coarser
one found, and adds a residual to the upsampled field. Attribute names are those of the published
checkpoints, whence the `lvl1` that every level carries.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .inputs import check_pair
from .sampling import convert_unit_to_voxels, integrate_unit_velocity, warp_by_unit_flow
from .slabs import Rows, convolve, take_transposed_rows

SLOPE = 0.2  # of every leaky rectifier
MAX_FLOW = 0.4  # bound of one level's output, unit coordinates
N_BLOCKS = 5
LATENT = 64  # width of the regularity code in the conditional network


def make_conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv3d:
    return nn.Conv3d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)


class ResidualBlock(nn.Module):
    """Pre-activation residual block; `code` is ignored."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = make_conv(channels, channels)
        self.conv2 = make_conv(channels, channels)

    def forward(self, x: Tensor, code: Tensor | None = None) -> Tensor:
        out = self.conv1(F.leaky_relu(x, SLOPE))
        return self.conv2(F.leaky_relu(out, SLOPE, inplace=True)) + x


class ConditionalNorm(nn.Module):
    """Instance normalisation whose scale and shift are functions of a latent code."""

    def __init__(self, channels: int):
        super().__init__()
        self.style = nn.Linear(LATENT, 2 * channels)

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        scale, shift = self.style(latent).chunk(2)
        return F.instance_norm(x, weight=1 + scale, bias=shift)


class ConditionalBlock(nn.Module):
    """Pre-activation residual block, conditioned on the regularity `code`, shape (1,)."""

    def __init__(self, channels: int):
        super().__init__()
        self.ai1 = ConditionalNorm(channels)
        self.conv1 = make_conv(channels, channels)
        self.ai2 = ConditionalNorm(channels)
        self.conv2 = make_conv(channels, channels)
        widths = [1] + [LATENT] * 4
        layers = [
            layer
            for n_in, n_out in pairwise(widths)
            for layer in (nn.Linear(n_in, n_out), nn.LeakyReLU(SLOPE))
        ]
        self.mapping = nn.Sequential(*layers)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        latent = self.mapping(code)
        out = self.conv1(F.leaky_relu(self.ai1(x, latent), SLOPE, inplace=True))
        return self.conv2(F.leaky_relu(self.ai2(out, latent), SLOPE, inplace=True)) + x


class PyramidLevel(nn.Module):
    """One level: (moving, fixed) to (velocity, features), over the levels below it.

    `narrow` and `wide` are the channels before and after its one strided convolution, `upsampled`
    those handed to the output and to the next level.
    """

    def __init__(
        self,
        block: type[nn.Module],
        narrow: int,
        wide: int,
        upsampled: int,
        diffeomorphic: bool,
        coarser: PyramidLevel | None,
    ):
        super().__init__()
        self.required_multiple = 8  # of the whole pyramid: three halvings
        self.level = 1 if coarser is None else coarser.level + 1
        self.diffeomorphic = diffeomorphic
        if coarser is not None:
            self.add_module(f"model_lvl{coarser.level}", coarser)
        half = (narrow + upsampled) // 2
        self.input_encoder_lvl1 = nn.Sequential(
            make_conv(2 if coarser is None else 5, narrow),
            nn.LeakyReLU(SLOPE, inplace=True),
            make_conv(narrow, narrow),
        )
        self.down_conv = make_conv(narrow, wide, stride=2)
        # Activations sit between the blocks, so the blocks have the even numbers.
        self.resblock_group_lvl1 = nn.ModuleList(
            block(wide) if i % 2 == 0 else nn.LeakyReLU(SLOPE) for i in range(2 * N_BLOCKS)
        )
        self.up = nn.ConvTranspose3d(wide, upsampled, 2, stride=2, bias=False)
        self.output_lvl1 = nn.Sequential(
            make_conv(narrow + upsampled, half),
            nn.LeakyReLU(SLOPE, inplace=True),
            make_conv(half, 3),
            nn.Softsign(),
        )

    def compute_velocity(
        self, moving: Tensor, fixed: Tensor, code: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Velocity (a displacement if not diffeomorphic) in unit coordinates, and wide features."""
        if self.level == 1:
            return self._refine(torch.cat((moving, fixed), 1), code)
        coarser = getattr(self, f"model_lvl{self.level - 1}")
        velocity, wide = coarser.compute_velocity(halve(moving), halve(fixed), code)
        coarse = double(velocity)
        flow = double(integrate_unit_velocity(velocity)) if self.diffeomorphic else coarse
        inputs = torch.cat((warp_by_unit_flow(moving, flow), fixed, coarse), 1)
        residual, wide = self._refine(inputs, code, coarser.up(wide))
        return residual + coarse, wide

    def _refine(
        self, inputs: Tensor, code: Tensor | None, embedding: Tensor | float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """This level's own part of the velocity, and its wide features."""
        narrow = apply(self.input_encoder_lvl1, inputs)
        wide = convolve(self.down_conv, narrow) + embedding
        for i, layer in enumerate(self.resblock_group_lvl1):
            wide = layer(wide, code) if i % 2 == 0 else layer(wide)
        upsampled = take_transposed_rows(self.up, wide)
        return apply(self.output_lvl1, upsampled, narrow) * MAX_FLOW, wide


class LapIRN(PyramidLevel):
    """The pyramid's finest level, which is the network.

    Parameters
    ----------
    start_channels : int
        Width of the published network is 7 (four times as many features).
    diffeomorphic : bool
        Integrate stationary velocities (`lapirn-diff`) or add displacements (`lapirn-disp`).
    """

    def __init__(self, start_channels: int = 7, diffeomorphic: bool = False):
        n = 4 * start_channels
        level1 = PyramidLevel(ResidualBlock, n, n, n, diffeomorphic, None)
        level2 = PyramidLevel(ResidualBlock, n, n, n, diffeomorphic, level1)
        super().__init__(ResidualBlock, n, n, n, diffeomorphic, level2)

    def forward(self, fixed: Tensor, moving: Tensor) -> Tensor:
        """Displacement (N, 3, X, Y, Z), voxels of the fixed grid, array axis order.

        `fixed` and `moving` are (N, 1, X, Y, Z) in [0, 1], sides multiples of 8.
        """
        check_pair(fixed, moving, self.required_multiple)
        velocity, _ = self.compute_velocity(moving, fixed, None)
        flow = integrate_unit_velocity(velocity) if self.diffeomorphic else velocity
        return convert_unit_to_voxels(flow)


class ConditionalLapIRN(PyramidLevel):
    """LapIRN of displacements whose smoothness is an input (the published `lite` network).

    Parameters
    ----------
    regularity : float
        Smoothness in [0, 1]; 1 is the weight 10 of the published training. The authors' default
        at inference is 0.1.
    """

    def __init__(self, start_channels: int = 4, regularity: float = 0.1):
        n = start_channels
        level1 = PyramidLevel(ConditionalBlock, 2 * n, 4 * n, 4 * n, False, None)
        level2 = PyramidLevel(ConditionalBlock, 2 * n, 4 * n, 4 * n, False, level1)
        super().__init__(ConditionalBlock, 2 * n, 4 * n, 2 * n, False, level2)
        self.regularity = regularity

    def forward(self, fixed: Tensor, moving: Tensor) -> Tensor:
        """Displacement (N, 3, X, Y, Z), voxels of the fixed grid; see `LapIRN.forward`."""
        check_pair(fixed, moving, self.required_multiple)
        code = fixed.new_tensor([self.regularity])
        velocity, _ = self.compute_velocity(moving, fixed, code)
        return convert_unit_to_voxels(velocity)


def halve(image: Tensor) -> Tensor:
    """Smoothed image at half the resolution."""
    return F.avg_pool3d(image, 3, stride=2, padding=1, count_include_pad=False)


def double(flow: Tensor) -> Tensor:
    """Unit flow on the grid of twice the resolution; its values do not change with the grid."""
    return F.interpolate(flow, scale_factor=2, mode="trilinear", align_corners=False)


def apply(layers: nn.Sequential, *parts: Tensor | Rows) -> Tensor:
    """The layers, of which the first is a convolution, of the parts concatenated."""
    first, *rest = layers
    x = convolve(first, *parts)
    for layer in rest:
        x = convolve(layer, x) if isinstance(layer, nn.Conv3d) else layer(x)
    return x
