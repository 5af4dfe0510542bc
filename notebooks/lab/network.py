"""A small registration network and its training, in one page.

The network sees two images and answers with a velocity field; its exponential is the displacement. It
learns without labels and without true displacements: it is paid for making the moved image look like the
fixed one, and fined for rough fields.
"""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F
from slices import draw_pairs, exponentiate, warp


def convolve(n_in, n_out, stride=1):
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, stride, padding=1), nn.LeakyReLU(0.2))


def halve(images):
    return F.avg_pool2d(images, 2)


class Network(nn.Module):
    """A U-Net in voxels of 4 mm: down to an eighth of the resolution, up to a half, with shortcuts."""

    def __init__(self, channels=16, describe=None):
        super().__init__()
        self.describe = describe or (lambda image: image)  # what it looks at instead of intensities
        seen = 2 * self.describe(torch.zeros(1, 1, 8, 8)).shape[1]
        wide = 2 * channels
        self.down = nn.ModuleList(
            [convolve(seen, channels), convolve(channels, wide, 2)]
            + [convolve(wide, wide, 2) for _ in range(2)]
        )
        self.up = nn.ModuleList([convolve(2 * wide, wide) for _ in range(2)])
        self.out = nn.Conv2d(wide, 2, 3, padding=1)
        nn.init.normal_(self.out.weight, std=1e-5)  # at first, nothing moves
        nn.init.zeros_(self.out.bias)

    def forward(self, fixed, moving):
        """Displacement in voxels of the images, from images at half their resolution."""
        coarse = self.match(halve(fixed), halve(moving))
        return 2 * F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)

    def match(self, fixed, moving):
        x = torch.cat([self.describe(fixed), self.describe(moving)], dim=1)
        kept = []
        for layer in self.down:
            x = layer(x)
            kept.append(x)
        for layer, shortcut in zip(self.up, kept[-2:0:-1], strict=True):
            x = layer(torch.cat([F.interpolate(x, scale_factor=2), shortcut], dim=1))
        velocity = F.interpolate(
            self.out(x), size=fixed.shape[2:], mode="bilinear", align_corners=True
        )
        return exponentiate(velocity)


def similarity(a, b, window=7):
    """Squared correlation of the two images in a window around every voxel, 1 where they agree."""

    def mean(x):
        return F.avg_pool2d(x, window, stride=1, padding=window // 2)

    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    return (covariance**2 / (var_a * var_b + 1e-4)).mean()


def roughness(field):
    """Mean squared difference between neighbours."""
    return (field.diff(dim=2) ** 2).mean() + (field.diff(dim=3) ** 2).mean()


def train(
    slices,
    steps,
    seed=0,
    start=None,
    change=None,
    describe=None,
    smooth=0.3,
    batch=8,
    rate=2e-3,
    watch=None,
):
    """A trained network and its loss at every step.

    `start` is a network to go on from; `change(pairs, generator)` alters the images of a batch and `describe` what the network looks at, which
    is how lesson 5 repairs; `watch(step, losses)` is called now and then, to draw.
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
        with torch.no_grad():
            pairs = draw_pairs(slices, batch, generator)
            if change is not None:
                pairs = change(pairs, generator)
        fixed, moving = halve(pairs.fixed), halve(pairs.moving)
        displacement = network.match(fixed, moving)
        loss = 1 - similarity(fixed, warp(moving, displacement)) + smooth * roughness(displacement)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if watch is not None and (step + 1) % max(1, steps // 20) == 0:
            watch(step + 1, losses)
    return network.eval(), losses
