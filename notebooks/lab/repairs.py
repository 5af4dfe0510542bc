"""Four repairs: two of the training, one of what the network looks at, one after it has answered."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from breaks import draw_curve, draw_scale, shrink
from network import refine, roughness, similarity
from slices import warp


def remap_inputs(pairs, generator):
    """Both images of every batch through one random curve, in nine batches of ten."""
    if torch.rand(1, generator=generator) > 0.9:
        return pairs
    curve = draw_curve(generator)
    return replace(pairs, fixed=curve(pairs.fixed), moving=curve(pairs.moving))


def shrink_inputs(pairs, generator):
    """Both images of every batch shrunk by one random factor, in nine batches of ten."""
    if torch.rand(1, generator=generator) > 0.9:
        return pairs
    factor = draw_scale(generator)
    return replace(pairs, fixed=shrink(pairs.fixed, factor), moving=shrink(pairs.moving, factor))


def describe_mind(image):
    """How alike a place is to its four neighbours (n, 4, X, Y), whatever the intensities mean.

    The idea of MIND (Heinrich et al. 2012): squared differences to neighbours, over their mean. Dimming an
    image changes none of them, nor would inverting all of it. Where the background stays 0, values at the
    brain's edge change; and as the edge raises the floor below, so do some in flat tissue.
    """
    near = F.pad(image, (1, 1, 1, 1), mode="replicate")
    height, width = image.shape[2:]
    far = []
    for x, y in ((0, 1), (2, 1), (1, 0), (1, 2)):
        squared = (near[:, :, x : x + height, y : y + width] - image) ** 2
        far.append(F.avg_pool2d(squared, 3, stride=1, padding=1))
    far = torch.cat(far, dim=1)
    spread = far.mean(dim=1, keepdim=True)
    floor = 0.01 * spread.mean(dim=(1, 2, 3), keepdim=True) + 1e-12
    return torch.exp(-far / (spread + floor))


def optimise(network, fixed, moving, steps=40, smooth=0.5, rate=0.1):
    """Instance optimisation: the network's answer, improved on the very pair by gradient steps."""
    with torch.no_grad():
        coarse = F.avg_pool2d(network(fixed, moving), 2) / 2
    with torch.enable_grad():
        coarse = coarse.clone().requires_grad_()
        optimiser = torch.optim.Adam([coarse], lr=rate)
        for _ in range(steps):
            field = refine(coarse)
            loss = len(fixed) * (
                1 - similarity(fixed, warp(moving, field)) + smooth * roughness(field)
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return refine(coarse.detach())
