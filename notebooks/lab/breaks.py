"""Changes of the images, each as a scanner, a converter or a tired student could cause it.

Most leave the anatomy where it is, and so the labels and the true displacement. Those that move it say how
a displacement between the changed images is brought back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from slices import make_grid, sample

BRAIN = 0.02  # darker is outside
T2W = ((0.02, 0.95), (0.25, 1.0), (0.65, 0.62), (1.0, 0.42), (1.6, 0.30))  # T1w value -> T2w value


def _inside(images, changed):
    return torch.where(images > BRAIN, changed.clamp(min=BRAIN), torch.zeros(()))


def invert(images):
    """Dark for bright: every edge stays where it was."""
    return _inside(images, 1.1 - images)


def fold(images):
    """The middle of the scale becomes its dark end: grey matter dark, CSF and white matter bright."""
    return _inside(images, 2 * (images - 0.55).abs())


def remap(images, knots):
    """Intensities through a curve, straight between its knots (before, after)."""
    before, after = (torch.tensor(side, dtype=torch.float32) for side in zip(*knots, strict=True))
    place = torch.searchsorted(
        before, images.contiguous().clamp(before[0], before[-1] - 1e-4), right=True
    )
    low, high = (place - 1).clamp(min=0), place.clamp(max=len(before) - 1)
    width = (before[high] - before[low]).clamp(min=1e-6)
    share = ((images - before[low]) / width).clamp(0, 1)
    return _inside(images, after[low] + share * (after[high] - after[low]))


def make_t2w(images):
    """About what a T2w image shows: fluid brightest, white matter darkest of the tissues."""
    return remap(images, T2W)


def z_score(images):
    """Mean 0 and spread 1 over the whole image: another background, and another scale."""
    mean = images.mean(dim=(2, 3), keepdim=True)
    return (images - mean) / images.std(dim=(2, 3), keepdim=True)


def _blur(images, factor):
    sigma = 1 / factor / 2.355
    x = torch.arange(-4, 5.0)
    kernel = torch.exp(-(x**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    along = F.conv2d(images, kernel.reshape(1, 1, -1, 1), padding=(4, 0))
    return F.conv2d(along, kernel.reshape(1, 1, 1, -1), padding=(0, 4))


def shrink(images, factor=0.4):
    """What a network gets that asks for 2 mm when the header says voxels of `factor` times 2 mm."""
    grid, middle = make_grid(images.shape[-2:])
    return sample(_blur(images, factor), (grid - middle) / factor + middle)


def grow(fields, factor=0.4):
    """A displacement between shrunk images, on the grid of the images before, in its voxels."""
    grid, middle = make_grid(fields.shape[-2:])
    return sample(fields, (grid - middle) * factor + middle) / factor


def blur(images, factor=0.4):
    """The control of `shrink`: as much detail is lost, but the brain keeps its size."""
    return factor * grow(shrink(images, factor), factor)


def shift(images, voxels=8):
    """The whole image moved along its first axis."""
    return images.roll(voxels, dims=2)


def dim(images, factor=0.3):
    """Every intensity times a number: what scaling by the brightest voxel does if one is very bright."""
    return factor * images


def outline(images):
    """White where the brain is, and nothing in it: a control image for all that keeps the outline."""
    return (images > BRAIN).float()


def _same(x):
    return x


@dataclass(frozen=True)
class Change:
    """What is done to both images before a method, and to its displacement after."""

    before: Callable = _same
    after: Callable = _same
    header: bool = False  # felt only by methods that resample by the header


CHANGES = {
    "T1w": Change(),
    "inverted": Change(invert),
    "folded": Change(fold),
    "T2w": Change(make_t2w),
    "dimmed": Change(dim),
    "blurred": Change(blur),
    "header x 0.4": Change(shrink, grow, header=True),
    "shifted": Change(shift, lambda field: shift(field, -8)),
    "z-scored": Change(z_score),
    "outline": Change(outline),
}


def draw_curve(generator):
    """A random curve of intensities that leaves the background 0, as a function of images."""
    before = (0.0, 0.2, 0.4, 0.6, 0.8, 1.05, 1.6)
    after = torch.rand(len(before), generator=generator)
    after = (after - after.min()) / (after.max() - after.min())
    after[0] = 0.0
    knots = list(zip(before, after.tolist(), strict=True))
    return lambda images: remap(images, knots)


def draw_scale(generator):
    """A factor between 0.38 and 1, small ones more often: there is more to learn."""
    return float(0.38 + 0.62 * torch.rand(1, generator=generator) ** 3)
