"""LKU-Net: a U-Net with large kernels.

Jia, Bartlett, Zhang, Lu, Qiu & Duan, "U-Net vs Transformer: is U-Net outdated in medical image
registration?", MLMI 2022 (arXiv:2208.04939). The U-Net of SYMNet whose blocks add what kernels of
1, 3 and 5 voxels and the identity make of their input; it yields a stationary velocity. Attribute
names are those of the published checkpoint.
"""

from torch import Tensor, nn

from .inputs import check_pair
from .sampling import convert_unit_to_voxels, integrate_unit_velocity
from .slabs import convolve
from .symnet import UNet, apply


def make_conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv3d(in_channels, out_channels, 3, stride=stride, padding=1)
    return nn.Sequential(conv, nn.PReLU())


def make_up(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose3d(channels, channels, 2, 2), nn.PReLU())


def make_output(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(channels, 3, 3, padding=1, bias=False), nn.Softsign())


class LargeKernelBlock(nn.Module):
    """Sum of three convolutions of one input and of the input itself, then the nonlinearity."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()

        def make(kernel: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv3d(in_channels, out_channels, kernel, padding=kernel // 2))

        self.layer_regularKernel = make(3)
        self.layer_largeKernel = make(5)
        self.layer_oneKernel = make(1)
        self.layer_nonlinearity = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        total = convolve(self.layer_regularKernel[0], x)
        total = total + convolve(self.layer_largeKernel[0], x)
        total = total + convolve(self.layer_oneKernel[0], x) + x
        return self.layer_nonlinearity(total)


class LKUNet(UNet):
    """LKU-Net; `start_channels` of the network published with its weights is 4.

    `dc10` would be the velocity of the way back, which the authors do not compute.
    """

    def __init__(self, start_channels: int = 4):
        super().__init__(
            start_channels, make_conv, LargeKernelBlock, make_up, make_output, 8 * start_channels
        )

    def forward(self, fixed: Tensor, moving: Tensor) -> Tensor:
        """Displacement (N, 3, X, Y, Z), voxels of the fixed grid, array axis order.

        `fixed` and `moving` are (N, 1, X, Y, Z) in [0, 1], sides multiples of 16.
        """
        check_pair(fixed, moving, self.required_multiple)
        velocity = apply(self.dc9, self.compute_features(moving, fixed))
        # Components come in the order of the axes; grid_sample's is the reverse.
        return convert_unit_to_voxels(integrate_unit_velocity(velocity.flip(1)))
