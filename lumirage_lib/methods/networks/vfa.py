"""Vector Field Attention: registration by matching features, coarse to fine.

Liu, Chen, Zuo, Carass & Prince, "Vector field attention for deformable image registration",
J. Med. Imaging 11(6), 064001, 2024 (arXiv:2407.10209). One U-Net extracts features from either
image; at each resolution every voxel of the fixed image attends to the 27 voxels around its
current match in the moving image, and moves by the expected offset. Only the features and one
scale are learned. Written from the paper; what it leaves open (interpolation, padding, where the
learned scale acts) is settled by the outputs of the official network, which ours equals.
"""

import re
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import InputError, WeightsError
from .attention import attend
from .inputs import check_pair
from .sampling import (
    convert_unit_to_voxels,
    convert_voxels_to_unit,
    make_unit_grid,
    warp_by_unit_flow,
)
from .slabs import convolve, take_doubled_rows

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class ConvBlock(nn.Module):
    """Twice convolution, instance normalisation, leaky rectifier.

    In two calls, so that the input of the first is freed before the second.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv1 = nn.Conv3d(in_channels, out_channels, 3, padding=1)
        self.norm1 = nn.InstanceNorm3d(out_channels, affine=True)
        self.conv2 = nn.Conv3d(out_channels, out_channels, 3, padding=1)
        self.norm2 = nn.InstanceNorm3d(out_channels, affine=True)

    def apply_first(self, *parts: Tensor) -> Tensor:
        return normalise(convolve(self.conv1, *parts), self.norm1)

    def apply_second(self, x: Tensor) -> Tensor:
        return normalise(convolve(self.conv2, x), self.norm2)


class Upsampling(nn.Module):
    """Trilinear doubling, then convolution, normalisation, rectifier."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv = nn.Conv3d(in_channels, out_channels, 3, padding=1)
        self.norm = nn.InstanceNorm3d(out_channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        shape = tuple(2 * n for n in x.shape[2:])
        return normalise(convolve(self.conv, take_doubled_rows(x), shape=shape), self.norm)


class Encoder(nn.Module):
    """U-Net whose decoder yields features at every resolution from `skip` up."""

    def __init__(self, channels: list[int], start_channels: int, in_channels: int, skip: int):
        super().__init__()
        self.skip = skip
        self.in_norm = nn.InstanceNorm3d(in_channels, affine=True)
        self.in_conv = nn.Conv3d(in_channels, start_channels, 3, padding=1)
        down = [start_channels, *channels[:-1]]
        deeper = [*channels[1:-1], channels[-1]]
        levels = range(skip, len(channels) - 1)
        self.encoder_conv = nn.ModuleList(
            ConvBlock(n_in, n_out) for n_in, n_out in zip(down, channels[:-1], strict=False)
        )
        self.bottleneck_conv = ConvBlock(channels[-2], channels[-1])
        self.upsampling = nn.ModuleDict(
            {str(i): Upsampling(deeper[i], channels[i]) for i in levels}
        )
        self.decoder_conv = nn.ModuleDict(
            {str(i): ConvBlock(2 * channels[i], channels[i]) for i in levels}
        )

    def iterate_features(self, image: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Features from the coarsest level to the finest, none held longer than needed."""
        x = F.instance_norm(image, weight=self.in_norm.weight, bias=self.in_norm.bias)
        x = convolve(self.in_conv, x)
        x = F.leaky_relu(x, inplace=not torch.is_grad_enabled())
        skipped = []
        for level, block in enumerate(self.encoder_conv):
            x = block.apply_first(x)
            x = block.apply_second(x)
            skipped.append(x if level >= self.skip else None)
            x = halve(x)
        x = self.bottleneck_conv.apply_first(x)
        x = self.bottleneck_conv.apply_second(x)
        yield len(skipped), x
        for level in reversed(range(self.skip, len(skipped))):
            block = self.decoder_conv[str(level)]
            x = self.upsampling[str(level)](x)
            x = block.apply_first(x, skipped.pop())
            x = block.apply_second(x)
            yield level, x


class Decoder(nn.Module):
    """Matching: nothing learned but the projections and the scale `beta` of the offsets."""

    def __init__(self, channels: list[int], matched: list[int], skip: int, beta: float):
        super().__init__()
        self.beta = nn.Parameter(torch.full((1,), beta))
        self.project = nn.ModuleDict(
            {
                str(i): nn.Conv3d(channels[i], matched[i], 3, padding=1)
                for i in range(skip, len(channels))
            }
        )

    def make_query(self, level: int, features: Tensor) -> Tensor:
        """What the fixed image asks with."""
        return convolve(self.project[str(level)], features).float()

    def make_key(self, level: int, features: Tensor, flow: Tensor | None) -> Tensor:
        """What the moving image, warped by the unit `flow`, answers with; padded by one voxel."""
        n, features = features.shape[2], features.float()

        def rows(start: int, stop: int) -> Tensor:
            inside = slice(max(start - 1, 0), min(stop - 1, n))
            still = flow is None
            moved = features[:, :, inside] if still else warp_by_unit_flow(features, flow, inside)
            ends = (int(start == 0), int(stop == n + 2))
            return F.pad(moved, (1, 1, 1, 1, *ends), mode="replicate")

        padded = tuple(side + 2 for side in features.shape[2:])
        return convolve(self.project[str(level)], rows, shape=padded).float()

    def forward(self, level: int, query: Tensor, features: Tensor, flow: Tensor | None) -> Tensor:
        """The unit flow refined at one level; at the coarsest one there is none to refine."""
        offset = attend(query, self.make_key(level, features, flow)) * self.beta.float()
        offset = convert_voxels_to_unit(offset)
        return offset if flow is None else compose(flow, offset)


class VFA(nn.Module):
    """Vector Field Attention; the defaults are those of the official networks for brains.

    Parameters
    ----------
    downsamples : int
        Number of halvings; there is one more resolution than that.
    start_channels, matching_channels, max_channels : int
        Features before the first level and matched at the finest one, both doubled from level to
        level up to `max_channels`.
    in_channels : int
        Channels of an image.
    skip : int
        Number of finest levels left out; their flow is interpolated. 1 halves the resolution of
        the flow and makes training on a CPU affordable.
    beta : float
        Scale of the offsets before training.
    precision : {"float32", "bfloat16"}
        Of the convolutions; positions, scores and offsets are float32 always.
    """

    def __init__(
        self,
        downsamples: int = 4,
        start_channels: int = 8,
        matching_channels: int = 8,
        max_channels: int = 64,
        in_channels: int = 1,
        skip: int = 0,
        beta: float = 1.0,
        precision: str = "float32",
    ):
        super().__init__()
        if not 0 <= skip <= downsamples or precision not in PRECISIONS:
            raise InputError(
                f"expected 0 <= skip <= downsamples and precision in {tuple(PRECISIONS)}, got "
                f"skip={skip}, downsamples={downsamples}, precision={precision!r}"
            )
        levels = range(downsamples + 1)
        channels = [min(2 * start_channels * 2**i, max_channels) for i in levels]
        matched = [min(matching_channels * 2**i, max_channels) for i in levels]
        self.required_multiple = 2**downsamples
        self.encoder = Encoder(channels, start_channels, in_channels, skip)
        self.decoder = Decoder(channels, matched, skip, beta)
        self.dtype = PRECISIONS[precision]
        if precision != "float32":
            for part in (self.encoder, self.decoder.project):
                part.to(dtype=self.dtype, memory_format=torch.channels_last_3d)

    def forward(self, fixed: Tensor, moving: Tensor) -> Tensor:
        """Displacement (N, 3, X, Y, Z), voxels of the fixed grid, array axis order.

        `fixed` and `moving` are (N, C, X, Y, Z) of any intensity scale (each is normalised), sides
        multiples of `2**downsamples`, more than one voxel left at the coarsest level.
        """
        check_pair(fixed, moving, self.required_multiple)
        queries = {
            level: self.decoder.make_query(level, features)
            for level, features in self.encoder.iterate_features(fixed.to(self.dtype))
        }
        flow = None
        for level, features in self.encoder.iterate_features(moving.to(self.dtype)):
            if flow is not None:
                flow = upsample(flow, features.shape[2:])
            flow = self.decoder(level, queries.pop(level), features, flow)
        return convert_unit_to_voxels(upsample(flow, fixed.shape[2:]))


def infer_options(state: Mapping[str, Tensor]) -> dict[str, int]:
    """Constructor options of the VFA network whose state dict this is.

    Raises
    ------
    WeightsError
        The keys are not those of a VFA network.
    """
    found = (re.match(r"decoder\.project\.(\d+)\.", key) for key in state)
    levels = [int(match[1]) for match in found if match]
    try:
        if not levels:
            raise KeyError("decoder.project.*")
        return {
            "downsamples": max(levels),
            "skip": min(levels),
            "in_channels": state["encoder.in_conv.weight"].shape[1],
            "start_channels": state["encoder.in_conv.weight"].shape[0],
            "matching_channels": state[f"decoder.project.{min(levels)}.weight"].shape[0]
            // 2 ** min(levels),
            "max_channels": state["encoder.bottleneck_conv.conv1.weight"].shape[0],
        }
    except (KeyError, IndexError) as error:
        raise WeightsError(
            f"expected the state dict of a VFA network (encoder.*, decoder.*), but {error} is "
            "missing; is it the checkpoint of another network?"
        ) from error


def normalise(x: Tensor, norm: nn.InstanceNorm3d) -> Tensor:
    """Instance normalisation and leaky rectifier; in place where no gradient is wanted."""
    if x[0, 0].numel() == 1:
        raise InputError("expected more than one voxel at the coarsest level; pad the images")
    if torch.is_grad_enabled() or x.dtype != torch.float32:
        return F.leaky_relu(norm(x))
    axes = (2, 3, 4)
    x = x.sub_(x.mean(axes, keepdim=True))
    variance = torch.linalg.vector_norm(x, dim=axes, keepdim=True).square_() / x[0, 0].numel()
    scale = norm.weight.view(1, -1, 1, 1, 1) * torch.rsqrt(variance + norm.eps)
    return F.leaky_relu_(x.mul_(scale).add_(norm.bias.view(1, -1, 1, 1, 1)))


def halve(x: Tensor) -> Tensor:
    """Mean over 2 x 2 x 2 voxels."""
    if x.dtype == torch.bfloat16 and x.device.type == "cpu":  # pooling there lacks it
        return F.interpolate(x, scale_factor=0.5, mode="trilinear", align_corners=False)
    return F.avg_pool3d(x, 2)


def compose(flow: Tensor, offset: Tensor) -> Tensor:
    """Unit flow of x -> x' + flow(x'), where x' = x + offset(x) is kept inside the image."""
    grid = make_unit_grid(flow.shape[2:], flow).permute(0, 4, 1, 2, 3)
    kept = (grid + offset).clamp(-1, 1) - grid
    return warp_by_unit_flow(flow, kept) + kept


def upsample(flow: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Unit flow on a finer grid, end voxels on end voxels, where its values are the same."""
    if flow.shape[2:] == shape:
        return flow
    return F.interpolate(flow, size=shape, mode="trilinear", align_corners=True)
