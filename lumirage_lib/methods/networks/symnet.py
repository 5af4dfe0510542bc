"""SYMNet: symmetric diffeomorphic registration in one pass.

Mok & Chung, "Fast symmetric diffeomorphic image registration with convolutional neural networks",
CVPR 2020. A U-Net yields two stationary velocities, from each image to the mean shape between
them; the map from fixed to moving goes through that shape. Attribute names are those of the
published checkpoint.
"""

from collections.abc import Callable

from torch import Tensor, nn

from .inputs import check_pair
from .sampling import (
    convert_unit_to_voxels,
    convert_voxels_to_unit,
    integrate_unit_velocity,
    warp_by_unit_flow,
)
from .slabs import Rows, convolve, take_transposed_rows

MAX_VELOCITY_VOX = 100.0


def make_conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv3d(in_channels, out_channels, 3, stride=stride, padding=1)
    return nn.Sequential(conv, nn.ReLU(inplace=True))


def make_up(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose3d(channels, channels, 2, 2), nn.ReLU(inplace=True))


def make_output(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(channels, 3, 5, padding=2, bias=False), nn.Softsign())


class UNet(nn.Module):
    """The U-Net of SYMNet, full resolution to a sixteenth and back, and its two outputs.

    Parameters
    ----------
    n : int
        Channels at full resolution.
    conv : callable
        ``conv(in_channels, out_channels, stride=1)``: a convolution and its nonlinearity.
    block : callable
        ``block(in_channels, out_channels)``: the layer that follows each halving.
    up : callable
        ``up(channels)``: a transposed convolution that doubles the resolution.
    output : callable
        ``output(channels)``: the layer that makes a velocity of features.
    deepest : int
        Channels between the last halving and its block.
    """

    required_multiple = 16

    def __init__(
        self, n: int, conv: Callable, block: Callable, up: Callable, output: Callable, deepest: int
    ):
        super().__init__()
        self.eninput = conv(2, n)
        self.ec1 = conv(n, n)
        self.ec2 = conv(n, 2 * n, stride=2)
        self.ec3 = block(2 * n, 2 * n)
        self.ec4 = conv(2 * n, 4 * n, stride=2)
        self.ec5 = block(4 * n, 4 * n)
        self.ec6 = conv(4 * n, 8 * n, stride=2)
        self.ec7 = block(8 * n, 8 * n)
        self.ec8 = conv(8 * n, deepest, stride=2)
        self.ec9 = block(deepest, 8 * n)
        self.dc1 = conv(16 * n, 8 * n)
        self.dc2 = conv(8 * n, 4 * n)
        self.dc3 = conv(8 * n, 4 * n)
        self.dc4 = conv(4 * n, 2 * n)
        self.dc5 = conv(4 * n, 4 * n)
        self.dc6 = conv(4 * n, 2 * n)
        self.dc7 = conv(3 * n, 2 * n)
        self.dc8 = conv(2 * n, 2 * n)
        self.dc9 = output(2 * n)
        self.dc10 = output(2 * n)
        self.up1 = up(8 * n)
        self.up2 = up(4 * n)
        self.up3 = up(2 * n)
        self.up4 = up(2 * n)

    def compute_features(self, first: Tensor, second: Tensor) -> Tensor:
        """Features (N, 2 n, X, Y, Z) of two images (N, 1, X, Y, Z)."""
        full = apply(self.ec1, apply(self.eninput, first, second))
        half = apply(self.ec3, apply(self.ec2, full))
        quarter = apply(self.ec5, apply(self.ec4, half))
        eighth = apply(self.ec7, apply(self.ec6, quarter))
        x = apply(self.ec9, apply(self.ec8, eighth))
        x = apply(self.dc2, apply(self.dc1, take_rows(self.up1, x), eighth))
        x = apply(self.dc4, apply(self.dc3, take_rows(self.up2, x), quarter))
        x = apply(self.dc6, apply(self.dc5, take_rows(self.up3, x), half))
        x = apply(self.dc7, take_rows(self.up4, x), full)
        del full, half, quarter, eighth
        return apply(self.dc8, x)


class SYMNet(UNet):
    """SYMNet; `start_channels` of the published network is 7."""

    def __init__(self, start_channels: int = 7):
        super().__init__(
            start_channels, make_conv, make_conv, make_up, make_output, 16 * start_channels
        )

    def forward(self, fixed: Tensor, moving: Tensor) -> Tensor:
        """Displacement (N, 3, X, Y, Z), voxels of the fixed grid, array axis order.

        `fixed` and `moving` are (N, 1, X, Y, Z) in [0, 1], sides multiples of 16.
        """
        check_pair(fixed, moving, self.required_multiple)
        from_fixed, from_moving = self.compute_velocities(fixed, moving)
        to_middle = integrate_unit_velocity(-from_fixed, padding_mode="zeros")
        onwards = integrate_unit_velocity(from_moving, padding_mode="zeros")
        # moving(y + onwards(y)) at y = x + to_middle(x): the two maps composed.
        return convert_unit_to_voxels(
            warp_by_unit_flow(onwards, to_middle, padding_mode="zeros") + to_middle
        )

    def compute_velocities(self, fixed: Tensor, moving: Tensor) -> tuple[Tensor, Tensor]:
        """Velocities that bring fixed and moving to their middle, unit coordinates."""
        x = self.compute_features(fixed, moving)
        # The outputs' three components are already in grid_sample order.
        return tuple(
            convert_voxels_to_unit(apply(output, x).flip(1) * MAX_VELOCITY_VOX)
            for output in (self.dc9, self.dc10)
        )


def take_rows(up: nn.Sequential, x: Tensor) -> Rows:
    """Rows of what `up` makes of `x`, nonlinearity included."""
    conv, nonlinearity = up
    rows = take_transposed_rows(conv, x)
    return lambda start, stop: nonlinearity(rows(start, stop))


def apply(layer: nn.Module, *parts: Tensor | Rows) -> Tensor:
    """Convolution of the parts concatenated, then the layer's nonlinearity; or a block of its own."""
    if not isinstance(layer, nn.Sequential):
        return layer(*parts)
    conv, nonlinearity = layer
    return nonlinearity(convolve(conv, *parts))
