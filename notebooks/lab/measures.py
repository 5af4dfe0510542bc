"""The ruler of the lab: Dice, distance of borders, folding and true error of every pair."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import torch
from scipy import ndimage
from slices import SPACING_MM, Pairs, warp

from lumirage_lib.metrics import compute_overlap, find_common_labels


def as_map(labels):
    """A label slice (1, X, Y) as the integer volume, one voxel thick, that the library measures."""
    return np.asarray(labels[0]).astype(np.int32)[:, None, :]


def measure_dice(fixed_labels, moved_labels, moving_labels):
    """Mean Dice over the structures that both slices have before registration."""
    fixed, moved, moving = (as_map(x) for x in (fixed_labels, moved_labels, moving_labels))
    labels = find_common_labels(fixed, moving)
    return float(compute_overlap(fixed, moved, labels)["dice"].mean())


def measure_hd95(fixed_labels, moved_labels):
    """95th percentile of the distance between borders in mm, mean over structures (lost ones left out)."""
    fixed, moved = (np.asarray(x[0]).astype(int) for x in (fixed_labels, moved_labels))
    found = []
    for label in np.intersect1d(fixed, moved):
        if label == 0:
            continue
        box = ndimage.find_objects(((fixed == label) | (moved == label)).astype(int))[0]
        masks = [np.pad(labels[box] == label, 1) for labels in (fixed, moved)]
        edges = [m & ~ndimage.binary_erosion(m) for m in masks]
        far = [ndimage.distance_transform_edt(~edge) for edge in edges]
        both = np.concatenate([far[1][edges[0]], far[0][edges[1]]])
        found.append(np.percentile(both, 95) * SPACING_MM)
    return float(np.mean(found))


def find_folds(displacement):
    """Where x -> x + displacement(x) turns the plane over, bool (X - 1, Y - 1); field (2, X, Y)."""
    u = np.asarray(displacement)
    down, right = np.diff(u, axis=1), np.diff(u, axis=2)
    folded = np.zeros((u.shape[1] - 1, u.shape[2] - 1), bool)
    for x in (slice(None, -1), slice(1, None)):  # the four corners of every cell
        for y in (slice(None, -1), slice(1, None)):
            a, b = down[:, :, y], right[:, x]
            folded |= (1 + a[0]) * (1 + b[1]) - a[1] * b[0] <= 0
    return folded


def score(pairs: Pairs, displacement) -> pd.DataFrame:
    """One row per pair: dice, hd95_mm, folded_percent (of the brain) and error_mm (true error)."""
    moved = warp(pairs.moving_labels, displacement, "nearest")
    rows = []
    for i in range(len(pairs)):
        brain = np.asarray(pairs.fixed_labels[i, 0] > 0)
        off = (displacement[i] - pairs.truth[i]).norm(dim=0)
        rows.append(
            {
                "dice": measure_dice(pairs.fixed_labels[i], moved[i], pairs.moving_labels[i]),
                "hd95_mm": measure_hd95(pairs.fixed_labels[i], moved[i]),
                "folded_percent": 100 * find_folds(displacement[i])[brain[1:, 1:]].mean(),
                "error_mm": float(off[torch.tensor(brain)].mean()) * SPACING_MM,
            }
        )
    return pd.DataFrame(rows)


def register_greedy(fixed, moving):
    """The control: iterative registration, pair by pair, nothing learned; returns displacements."""
    import SimpleITK as sitk
    from picsl_greedy import Greedy2D

    found = []
    for a, b in zip(fixed, moving, strict=True):
        images = [sitk.GetImageFromArray(np.ascontiguousarray(x[0].numpy().T)) for x in (a, b)]
        greedy = Greedy2D()
        greedy.execute(
            "-V 0 -d 2 -threads 1 -i fixed moving -o warp -m NCC 2x2 -n 100x50x10 "
            "-s 1.732vox 0.7071vox -e 1 -wp 0 -seed 1",
            out=io.StringIO(),
            err=io.StringIO(),
            fixed=images[0],
            moving=images[1],
            warp=None,
        )
        field = sitk.GetArrayFromImage(
            greedy["warp"]
        )  # (Y, X, 2), voxels, as the grid has no world
        found.append(torch.tensor(field.transpose(2, 1, 0).copy(), dtype=torch.float32))
    return torch.stack(found)


@torch.no_grad()
def register(method, pairs, change=None):
    """Displacements of a network, or of `register_greedy`, after a :class:`breaks.Change` of both images."""
    if change is None:
        return method(pairs.fixed, pairs.moving)
    return change.after(method(change.before(pairs.fixed), change.before(pairs.moving)))
