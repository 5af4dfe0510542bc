"""Whole brains at 2 mm and the methods of the library: lesson 1, and what lesson 4 checks itself by."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass

import numpy as np

from lumirage_lib.cohorts.base import Pair
from lumirage_lib.cohorts.sources import fetch
from lumirage_lib.cohorts.template import template
from lumirage_lib.images.preprocess import PairImages
from lumirage_lib.images.warp import (
    apply_matrix,
    displacement_of_matrix,
    identity_grid,
    warp_image,
    warp_labels,
)
from lumirage_lib.methods import get_method, run_method
from lumirage_lib.metrics import compute_overlap, find_common_labels


@dataclass
class VolumePair:
    """Two T1w volumes on one grid, `moving` brought near by an affine map, as every method expects.

    `original`, `moving_labels` and `truth` are those before that map, so that they are interpolated once.
    """

    fixed: np.ndarray
    moving: np.ndarray
    original: np.ndarray
    fixed_labels: np.ndarray
    moving_labels: np.ndarray
    affine: np.ndarray
    matrix: np.ndarray
    truth: np.ndarray

    def whole(self, displacement):
        """The affine map and a displacement in one: from the fixed grid into the original moving image."""
        grid = identity_grid(self.fixed.shape)
        return apply_matrix(self.matrix, grid + displacement) - grid

    def move(self, displacement):
        return warp_image(self.original, self.whole(displacement))


def load_volume_pair(fixed=0, moving=1) -> VolumePair:
    """A pair of the generated population at 2 mm, aligned by the affine map nearest to the truth."""
    cohort = template(2.0, n_subjects=6, seed=0)
    scans = cohort.scans[fixed], cohort.scans[moving]
    images = [cohort.load_image(scan).data for scan in scans]
    images = [image / np.percentile(image[image > 0], 99) for image in images]
    labels = [cohort.load_labels(scan).data for scan in scans]
    truth = cohort.true_displacement(Pair(*scans))
    brain = labels[0] > 0
    here = identity_grid(brain.shape)[:, brain]
    there = here + truth[:, brain]
    known = np.vstack([here, np.ones(here.shape[1])])
    matrix = np.eye(4)
    matrix[:3] = np.linalg.lstsq(known.T, there.T, rcond=None)[0].T
    aligned = warp_image(images[1], displacement_of_matrix(matrix, brain.shape))
    affine = cohort.load_image(scans[0]).affine
    return VolumePair(images[0], aligned, images[1], *labels, affine, matrix, truth)


@contextlib.contextmanager
def silence():
    """Programs in C write past Python's standard output; a page does not want to hear them."""
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def register_volumes(method, pair, change=None, header=1.0):
    """Displacement (3, X, Y, Z) in voxels, and processor seconds, of a method of the library.

    `change` alters both images, `header` multiplies the voxel size that the header claims.
    """
    fixed, moving = pair.fixed, pair.moving
    if change is not None:
        fixed, moving = change(fixed), change(moving)
    affine = pair.affine @ np.diag([header] * 3 + [1.0])
    spec = get_method(method)
    start = time.process_time()
    images = PairImages(fixed, moving, affine, np.eye(4), np.eye(4))
    weights = {"weights": str(fetch(spec.weights, quiet=True))} if spec.weights else {}
    with silence():
        found = run_method(spec, images, {**spec.parameters, **weights})
    return found, time.process_time() - start


def measure(pair, displacement) -> dict[str, float]:
    """Mean Dice over structures, and the true error in mm over the brain."""
    labels = find_common_labels(pair.fixed_labels, pair.moving_labels)
    whole = pair.whole(displacement)
    moved = warp_labels(pair.moving_labels, whole)
    off = np.linalg.norm(whole - pair.truth, axis=0)[pair.fixed_labels > 0]
    spacing = np.linalg.norm(pair.affine[:3, 0])
    dice = compute_overlap(pair.fixed_labels, moved, labels)["dice"].mean()
    return {"dice": float(dice), "error_mm": float(off.mean() * spacing)}
