"""What the tests of several networks share."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lumirage_lib.methods.deep import PUBLISHED
from lumirage_lib.methods.networks import build, load_weights


def find_checkpoint(name: str) -> Path:
    """Published checkpoint in the mirror folder, laid out owner/name/commit/path."""
    published = PUBLISHED[name].weights
    repository = Path(os.environ["LUMIRAGE_MIRROR"]) / published.repository
    (path,) = repository.glob(f"*/{published.path}")
    return path


def build_published(name: str, **options) -> nn.Module:
    module = build(name, **options)
    load_weights(module, find_checkpoint(name))
    return module


def as_batch(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None, None]


def warp(moving: Tensor, displacement: Tensor) -> Tensor:
    """moving(x + displacement(x)) by the definition, independent of the networks' own sampling."""
    shape = moving.shape[2:]
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in shape), indexing="ij")
    target = torch.stack(axes)[None] + displacement
    unit = [2 * target[:, i] / (n - 1) - 1 for i, n in enumerate(shape)]
    return F.grid_sample(moving, torch.stack(unit[::-1], -1), align_corners=True)


def make_blobs(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """A smooth image in [0, 1] with no symmetry."""
    noise = as_batch(rng.random([n // 4 for n in shape]))
    image = F.interpolate(noise, size=shape, mode="trilinear", align_corners=True)[0, 0].numpy()
    return (image - image.min()) / np.ptp(image)


def make_shifted_brain(brain: np.ndarray, axis: int, shift: int) -> tuple[Tensor, Tensor]:
    """Fixed and moving: a ball of brain in air, so that fixed(x) is moving(x + shift)."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in brain.shape), indexing="ij")
    ball = brain * (np.square(axes).sum(axis=0) < 0.6)
    return as_batch(ball), as_batch(np.roll(ball, shift, axis=axis))


def assert_points_along(displacement: Tensor, inside: Tensor, axis: int) -> None:
    """Mean over the object is positive on the axis of the shift and small on the others.

    The published networks saw pairs aligned by an affine, so they find a part of a shift only.
    """
    mean = displacement[0][:, inside[0, 0]].mean(dim=1)
    others = [mean[i].abs() for i in range(3) if i != axis]
    assert mean[axis] > 0.4
    assert max(others) < mean[axis] / 2
