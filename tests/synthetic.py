"""Grids, images and displacements that several tests share; nothing in them is symmetric."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from scipy import ndimage

SHAPE = (13, 16, 11)
SPACING_MM = (0.8, 1.25, 2.0)
# Array orientation -> whether the axes are turned away from the scanner's.
GRIDS = ("RAS", "LAS", "LPS", "LIA", "PSR", "oblique LPS", "oblique RAS")


def grid_affine(name: str = "RAS", spacing_mm=SPACING_MM, origin=(-31.0, 22.5, 7.25)) -> np.ndarray:
    """Affine (4, 4) of a grid of GRIDS, anisotropic and off the origin."""
    codes = name.split()[-1]
    axes = nib.orientations.axcodes2ornt(tuple(codes)).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, axes[:, 0]] * axes[:, 1] * np.asarray(spacing_mm)
    if name.startswith("oblique"):
        affine[:3, :3] = rotation(12, -17, 21) @ affine[:3, :3]
    affine[:3, 3] = origin
    return affine


def rotation(*degrees: float) -> np.ndarray:
    """Product of rotations about the three axes."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        i, j = (a for a in range(3) if a != axis)
        turn = np.eye(3)
        turn[[i, j], [i, j]] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def indices(shape) -> np.ndarray:
    """All voxel indices of a grid, shape (3, N)."""
    return np.indices(shape).reshape(3, -1)


def to_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a 4x4 matrix to points (3, N), float64."""
    return matrix[:3, :3] @ points + matrix[:3, 3:]


def smooth_noise(shape, sigma: float, seed: int) -> np.ndarray:
    """Gaussian noise of unit variance, smooth over `sigma` voxels."""
    noise = np.random.default_rng(seed).standard_normal(shape)
    smooth = ndimage.gaussian_filter(noise, sigma, mode="nearest")
    return (smooth / smooth.std()).astype(np.float32)


def smooth_field(shape, amplitude: float, seed: int, sigma: float = 4.0) -> np.ndarray:
    """Displacement of that root mean square in voxels, its axes independent."""
    return np.stack([smooth_noise(shape, sigma, seed + 100 * a) for a in range(3)]) * amplitude


def brain(shape, seed: int = 0) -> np.ndarray:
    """An ellipsoid of smooth texture in air, values in [0, 1], a little off the middle."""
    where = np.indices(shape) - np.array(shape).reshape(3, 1, 1, 1) * [
        [[[0.48]]],
        [[[0.52]]],
        [[[0.5]]],
    ]
    radius = np.sqrt(((where / (0.36 * np.array(shape).reshape(3, 1, 1, 1))) ** 2).sum(axis=0))
    texture = 0.6 + 0.18 * np.clip(smooth_noise(shape, 2.0, seed), -2, 2)
    return (texture * np.clip((1.05 - radius) / 0.1, 0, 1)).astype(np.float32)


def interior(shape, margin: int = 2) -> tuple[slice, ...]:
    """The grid without its outermost voxels."""
    return tuple(slice(margin, n - margin) for n in shape)


def known_pair(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fixed image, moving image and the displacement between them, (3, 40, 48, 44), in voxels.

    A smooth deformation about a shift of another length and sign on each axis, as is left after an
    affine registration; ``fixed(x) = moving(x + displacement(x))`` holds by construction.
    """
    shape = (40, 48, 44)
    moving = brain(shape, seed)
    true = smooth_field(shape, 1.5, seed + 1, sigma=6.0) + np.float32(
        [[[[1.5]]], [[[-1.0]]], [[[0.6]]]]
    )
    there = np.indices(shape) + true
    return ndimage.map_coordinates(moving, there, order=1), moving, true


def assert_recovered(found: np.ndarray, true: np.ndarray, fixed: np.ndarray, least: float) -> None:
    """The estimate follows the truth inside the brain on every axis, in sign and in size."""
    inside = fixed > 0.3
    for axis in range(3):
        a, b = found[axis][inside], true[axis][inside]
        assert np.corrcoef(a, b)[0, 1] > least, f"axis {axis}"
        assert np.sign(a.mean()) == np.sign(b.mean())
        assert 0.45 < np.polyfit(b, a, 1)[0] < 1.2
    error = np.linalg.norm((found - true)[:, inside], axis=0).mean()
    assert error < 0.35 * np.linalg.norm(true[:, inside], axis=0).mean()
