"""Flat brains: axial slices of the generated population, deformed in the plane.

Every image is a slice of a scan of cohort ``template`` (2 mm, T1w) seen through a random smooth
deformation of the plane, with a bias field and noise of its own. Two images made from one slice have a
true correspondence, which is returned with them. Images are torch tensors of shape (n, 1, X, Y), fields
(n, 2, X, Y) in voxels of the fixed image: ``moved(x) = moving(x + displacement(x))``.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from lumirage_lib.cohorts.template import template

SPACING_MM = 2.0
SHAPE = (96, 112)
HEIGHTS = (34, 38, 42, 46)  # axial slices through the ventricles and the deep grey matter
TRAINING, HELD_OUT = (0, 1, 2, 3), (4, 5)  # subjects of the population: no one is in both
SCALES_VOX = {10.0: 1.26, 4.5: 0.84}  # of the deformation: length -> rms of each component, voxels


@functools.cache
def make_grid(shape):
    """The position of every voxel, (1, 2, X, Y), and the middle of the grid, (1, 2, 1, 1)."""
    axes = [torch.arange(n, dtype=torch.float32) for n in shape]
    middle = torch.tensor([(n - 1) / 2 for n in shape]).reshape(1, 2, 1, 1)
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))[None], middle


@dataclass
class Pairs:
    """Pairs of slices; `truth` is the displacement that a perfect registration returns."""

    fixed: torch.Tensor
    moving: torch.Tensor
    fixed_labels: torch.Tensor
    moving_labels: torch.Tensor
    truth: torch.Tensor

    def __len__(self):
        return len(self.fixed)

    def take(self, which):
        """Some of the pairs, by their numbers."""
        return Pairs(*(value[which] for value in vars(self).values()))


def sample(images, positions, mode="bilinear", padding="zeros"):
    """Values of images (n, c, X, Y) at positions (n, 2, X, Y), in voxels."""
    _, middle = make_grid(images.shape[-2:])
    unit = (positions / middle - 1).flip(1).permute(0, 2, 3, 1).expand(len(images), -1, -1, -1)
    return F.grid_sample(images, unit, mode=mode, padding_mode=padding, align_corners=True)


def warp(moving, displacement, mode="bilinear", padding="zeros"):
    """moved(x) = moving(x + displacement(x)); mode "nearest" for labels."""
    grid, _ = make_grid(displacement.shape[-2:])
    return sample(moving, grid + displacement, mode, padding)


def exponentiate(velocity, steps=6):
    """The deformation that a velocity field leads to: smooth, and with a smooth inverse."""
    field = velocity / 2**steps
    for _ in range(steps):
        field = field + warp(field, field, padding="border")
    return field


def draw_smooth(n, length_vox, generator):
    """Smooth random fields (n, 2, X, Y) of unit standard deviation."""
    coarse = [max(4, round(size / length_vox) + 3) for size in SHAPE]
    noise = torch.randn(n, 2, *coarse, generator=generator)
    field = F.interpolate(noise, size=SHAPE, mode="bicubic", align_corners=True)
    return field / field.std()


def draw_velocity(n, generator):
    return sum(rms * draw_smooth(n, length, generator) for length, rms in SCALES_VOX.items())


def add_bias_and_noise(images, generator):
    """A smooth field that brightens and darkens, and the noise of a magnitude image."""
    bias = torch.exp(0.08 * draw_smooth(len(images), 30, generator)[:, :1])
    real, imaginary = 0.015 * torch.randn(2, *images.shape, generator=generator)
    return torch.hypot(images * bias + real, imaginary) * (images > 0.02)


def load_slices(subjects):
    """Images and labels, two tensors (n, 1, X, Y): every height of every subject, 1 = white matter."""
    cohort = template(SPACING_MM, n_subjects=6, seed=0)
    images, labels = [], []
    for scan in (cohort.scans[i] for i in subjects):
        for kept, volume in (
            (images, cohort.load_image(scan).data),
            (labels, cohort.load_labels(scan).data),
        ):
            for height in HEIGHTS:
                flat = volume[:, :, height].astype(np.float32)
                before = [(size - n) // 2 for size, n in zip(SHAPE, flat.shape, strict=True)]
                after = [s - n - b for s, n, b in zip(SHAPE, flat.shape, before, strict=True)]
                kept.append(np.pad(flat, list(zip(before, after, strict=True))))
    images = [image / np.percentile(image[image > 0], 99) for image in images]
    return torch.tensor(np.stack(images))[:, None], torch.tensor(np.stack(labels))[:, None]


def draw_pairs(slices, n, generator, which=None):
    """`n` pairs, each of one slice under two deformations; `which` names the slices."""
    images, labels = slices
    if which is None:
        which = torch.randint(len(images), (n,), generator=generator)
    images, labels = images[which], labels[which]
    to_fixed, to_moving = draw_velocity(n, generator), draw_velocity(n, generator)
    a, b, b_inverse = (exponentiate(v) for v in (to_fixed, to_moving, -to_moving))
    return Pairs(
        add_bias_and_noise(warp(images, a), generator),
        add_bias_and_noise(warp(images, b), generator),
        warp(labels, a, "nearest"),
        warp(labels, b, "nearest"),
        a + warp(b_inverse, a, padding="border"),
    )


def count(n):
    """`n` pairs, or fewer where cells are only to be tried."""
    return int(os.environ.get("LUMIRAGE_LAB_PAIRS", n))


def make_training(n=128, seed=7):
    """The pairs that a network learns from, over and over."""
    generator = torch.Generator().manual_seed(seed)
    return draw_pairs(load_slices(TRAINING), count(n), generator)


def make_held_out(n=8, seed=999):
    """The pairs on which everything in the lab is measured, of subjects that no network has seen."""
    n = count(n)
    generator = torch.Generator().manual_seed(seed)
    slices = load_slices(HELD_OUT)
    return draw_pairs(slices, n, generator, which=torch.arange(n) % len(slices[0]))
