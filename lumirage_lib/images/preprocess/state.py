"""The state that passes through preprocessing: two images on one grid, and the way back."""

from dataclasses import dataclass

import numpy as np

from ..reading import Shape
from ..volumes import Volume, translation, window


@dataclass(frozen=True, eq=False)
class PairImages:
    """Two images on one working grid.

    Attributes
    ----------
    fixed, moving : ndarray of float32, shape (X, Y, Z)
    affine : ndarray (4, 4)
        Working voxel -> world, mm, RAS+: what a method is told of the grid.
    to_fixed, to_moving : ndarray (4, 4)
        Working voxel -> native voxel of the fixed and of the moving array (canonical RAS).
    final : bool
        Intensities are to stay as they are: the scaling a method declares is left out.
    """

    fixed: np.ndarray
    moving: np.ndarray
    affine: np.ndarray
    to_fixed: np.ndarray
    to_moving: np.ndarray
    final: bool = False

    @property
    def spacing_mm(self) -> np.ndarray:
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))


def pair_window(pair: PairImages, start: Shape, shape: Shape) -> PairImages:
    """The same pair in another box of voxels; see :func:`lumirage_lib.images.volumes.window`."""
    fixed = window(Volume(pair.fixed, pair.affine), start, shape)
    moving = window(Volume(pair.moving, pair.affine), start, shape)
    shift = translation(start)
    ways = (pair.to_fixed @ shift, pair.to_moving @ shift)
    return PairImages(fixed.data, moving.data, fixed.affine, *ways, pair.final)
