"""A small registration network and its training, in one page.

The network sees two images and answers with a velocity field; its exponential is the displacement. It
learns without labels and without true displacements: it is paid for making the moved image look like the
fixed one, and fined for rough fields.
"""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F
from slices import exponentiate, warp


def convolve(n_in, n_out, stride=1):
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, stride, padding=1), nn.ReLU())


def centre(image, middle=0.62, spread=0.33):
    """Intensities of the brain about 0, by numbers that suit the training images; 0, the outside, stays 0."""
    return (image - middle) / spread * (image != 0)


class Network(nn.Module):
    """Two layers look at each image by itself; a U-Net compares: down to a sixteenth, up to a half."""

    def __init__(self, channels=16, describe=centre):
        super().__init__()
        self.describe = describe  # what it is given of an image
        seen = describe(torch.zeros(1, 1, 8, 8)).shape[1]
        self.look = nn.Sequential(convolve(seen, 8), convolve(8, 8))  # the same for both images
        wide = 2 * channels
        self.down = nn.ModuleList(
            [convolve(16, channels, 2), convolve(channels, wide, 2)]
            + [convolve(wide, wide, 2) for _ in range(2)]
        )
        self.up = nn.ModuleList([convolve(2 * wide, wide) for _ in range(2)])
        self.up.append(convolve(wide + channels, channels))
        self.out = nn.Conv2d(channels, 2, 3, padding=1)
        nn.init.normal_(self.out.weight, std=1e-5)  # at first, nothing moves
        nn.init.zeros_(self.out.bias)

    def forward(self, fixed, moving):
        """Displacement in voxels of the images."""
        x = torch.cat([self.look(self.describe(image)) for image in (fixed, moving)], dim=1)
        kept = []
        for layer in self.down:
            x = layer(x)
            kept.append(x)
        for layer, shortcut in zip(self.up, kept[-2::-1], strict=True):
            x = layer(torch.cat([F.interpolate(x, scale_factor=2), shortcut], dim=1))
        return refine(exponentiate(self.out(x)))


def refine(coarse):
    """A displacement at half the resolution, on the grid and in the voxels of the images."""
    return 2 * F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)


def similarity(a, b, window=7):
    """Squared correlation in a window around every voxel, 1 where the images agree, mean over the brain."""

    def mean(x):
        return F.avg_pool2d(x, window, stride=1, padding=window // 2)

    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    something = (mean_a > 0) | (mean_b > 0)  # not all of the picture: brains may be small
    return (covariance**2 / (var_a * var_b + 1e-4))[something].mean()


def roughness(field):
    """Mean squared difference between neighbours."""
    return (field.diff(dim=2) ** 2).mean() + (field.diff(dim=3) ** 2).mean()


def train(
    pairs,
    steps,
    seed=0,
    start=None,
    change=None,
    describe=centre,
    smooth=0.5,
    batch=4,
    rate=2e-3,
    watch=None,
):
    """A trained network and its loss at every step.

    `start` is a network to go on from; `change(pairs, generator)` alters the images of a batch and
    `describe` what the network looks at, which is how lesson 5 repairs; `watch(step, losses)` is called
    now and then, to draw.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = Network(describe=describe)
    if start is not None:
        network.load_state_dict(start.state_dict())
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    losses = []
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = rate * (1 - step / steps) + 1e-5
        seen = pairs.take(torch.randint(len(pairs), (batch,), generator=generator))
        if change is not None:
            seen = change(seen, generator)
        displacement = network(seen.fixed, seen.moving)
        moved = warp(seen.moving, displacement)
        loss = 1 - similarity(seen.fixed, moved) + smooth * roughness(displacement)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if watch is not None and (step + 1) % max(1, steps // 20) == 0:
            watch(step + 1, losses)
    return network.eval(), losses
