"""Labels warped by every rule in one pass, and counted as they are found.

The rules are "nearest" and "linear" of `lumirage_lib.images.warp.warp_labels` and "soft" of
`compute_soft_overlap`. Positions are found once for all rules and label sets; the eight corners of a
cell are weighed only where they differ, and the vote of the linear rule is held only where no label
has clearly more than half of the weight.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from ..errors import InputError
from ..images.warp import check_displacement, corners_differ, identity_grid, vote

SLAB_VOXELS = 200_000  # voxels worked on at once: small enough for the cache
CORNERS = np.array(list(product((0, 1), repeat=3)))
# Hard rules look up float32 positions, as `warp_labels` does, the soft one float64 ones. Their
# weights differ by less than this margin, so what is beyond it is decided alike by either.
CLEAR = 0.5 + 1e-3


@dataclass(frozen=True)
class Part:
    """The voxels of a slab of the fixed grid that may meet a label, and where they look."""

    rows: slice
    at: np.ndarray  # flat indices in the slab
    points: np.ndarray  # (3, n) float32 positions in the padded moving grid
    nearest: np.ndarray  # flat index of the nearest voxel there
    corner: np.ndarray  # flat index of the lower corner of the cell around the exact position
    weights: np.ndarray  # (8, n) exact weight of each corner


class LabelCounts:
    """What is counted of one label set, slab after slab.

    Attributes
    ----------
    counts : rule -> (3, size) array
        Voxels, or sums of weights, of each label in the fixed map, in the moved map and in both.
    moved : rule -> (X, Y, Z) array, of the hard rules
    """

    def __init__(self, fixed: np.ndarray, moving: np.ndarray, size: int, rules: Iterable[str]):
        self.fixed, self.size = fixed, size
        # Background around the grid: one layer before it, and one more after it so that the far
        # corners of the last cell exist.
        self.padded = np.ascontiguousarray(np.pad(moving, (1, 2)))
        self.differ = corners_differ(self.padded).ravel()
        n_fixed = np.bincount(fixed.ravel(), minlength=size)
        kinds = {rule: float if rule == "soft" else np.int64 for rule in rules}
        self.counts = {rule: np.zeros((3, size), kind) for rule, kind in kinds.items()}
        for counts in self.counts.values():
            counts[0] = n_fixed
        self.moved = {r: np.zeros(fixed.shape, moving.dtype) for r in kinds if r != "soft"}

    def add(self, part: Part) -> None:
        """Count the voxels of a part by every rule; the rest of its slab is background."""
        slab, flat = self.fixed[part.rows].ravel(), self.padded.ravel()
        fixed = slab[part.at]
        rest = slab.size - fixed.size
        rest_both = np.count_nonzero(slab == 0) - np.count_nonzero(fixed == 0)
        for counts in self.counts.values():
            counts[1:, 0] += rest, rest_both
        if "nearest" in self.moved:
            self._add_hard("nearest", part, fixed, flat.take(part.nearest))
        if self.counts.keys() - {"nearest"}:
            self._add_cells(part, fixed, flat)

    def _add_cells(self, part: Part, fixed: np.ndarray, flat: np.ndarray) -> None:
        """The rules that weigh the eight corners of a cell."""
        found, mixed = flat.take(part.corner), self.differ.take(part.corner)
        weights = part.weights[:, mixed]
        strides = np.array(self.padded.strides) // self.padded.itemsize
        base = part.corner[mixed]
        values = np.stack([flat.take(base + step) for step in CORNERS @ strides])
        low, high = values.min(axis=0), values.max(axis=0)
        is_low, is_high = values == low, values == high
        of_low, of_high = (weights * is_low).sum(axis=0), (weights * is_high).sum(axis=0)
        if "soft" in self.counts:
            counts, here = self.counts["soft"], fixed[mixed]
            self._tally(counts, found[~mixed], fixed[~mixed])
            counts[1] += np.bincount(low, of_low, self.size)
            counts[1] += np.bincount(high, of_high, self.size)
            others = ~(is_low | is_high)
            counts[1] += np.bincount(values[others], weights[others], self.size)
            counts[2] += np.bincount(here, (weights * (values == here)).sum(axis=0), self.size)
        if "linear" in self.moved:
            winner = np.where(of_low > CLEAR, low, high)
            tied = np.flatnonzero(np.maximum(of_low, of_high) <= CLEAR)
            points = part.points[:, np.flatnonzero(mixed)[tied]]
            cell = np.floor(points)
            index = _flatten(cell, self.padded.shape)
            winner[tied] = vote(flat, index, points - cell, strides)
            found[mixed] = winner
            self._add_hard("linear", part, fixed, found)

    def _add_hard(self, rule: str, part: Part, fixed: np.ndarray, moved: np.ndarray) -> None:
        self._tally(self.counts[rule], moved, fixed)
        slab = self.moved[rule][part.rows].reshape(-1)  # a view: slabs of rows are contiguous
        slab[part.at] = moved

    def _tally(self, counts: np.ndarray, moved: np.ndarray, fixed: np.ndarray) -> None:
        counts[1] += np.bincount(moved, minlength=self.size)
        counts[2] += np.bincount(fixed[fixed == moved], minlength=self.size)


def count_by_rules(
    label_sets: Sequence[tuple[np.ndarray, np.ndarray]],
    displacement: np.ndarray,
    rules: Iterable[str],
) -> list[LabelCounts]:
    """Warp and count the labels of every set by every rule.

    Parameters
    ----------
    label_sets : sequence of (fixed, moving)
        Codes as `to_codes` makes them; the moving maps share one grid.
    displacement : (3, X, Y, Z) float32 array
    rules : of {"nearest", "linear", "soft"}
    """
    rules = list(rules)
    if len({moving.shape for _, moving in label_sets}) > 1:
        raise InputError(
            "label_sets: expected moving maps on one grid, got the shapes "
            f"{[moving.shape for _, moving in label_sets]}; resample them to the moving image's."
        )
    for fixed, _ in label_sets:
        check_displacement(displacement, fixed.shape)
    found = [
        LabelCounts(fixed, moving, 1 + int(max(fixed.max(), moving.max())), rules)
        for fixed, moving in label_sets
    ]
    weigh = rules != ["nearest"]
    for part in _cut(displacement, _near_labels([f.padded for f in found]), weigh):
        for labels in found:
            labels.add(part)
    return found


def _cut(displacement: np.ndarray, near: np.ndarray, weigh: bool) -> Iterator[Part]:
    """Part after part of the fixed grid; `near` tells where a cell may have a label."""
    shape = displacement.shape[1:]
    rows = max(1, SLAB_VOXELS // (shape[1] * shape[2]))
    last = np.array(near.shape).reshape(3, 1) - 2  # the border after the grid
    lookup = near.ravel()
    grid = identity_grid((rows, *shape[1:])).reshape(3, -1)
    for start in range(0, shape[0], rows):
        steps = displacement[:, start : start + rows].reshape(3, -1)
        grid = grid[:, : steps.shape[1]]
        points = grid + steps
        at = np.flatnonzero(lookup.take(_flatten(np.floor(points), near.shape)))
        points = points[:, at]
        on_grid = ((points >= -1) & (points <= last - 1)).all(axis=0)
        at, points = at[on_grid], points[:, on_grid]
        nearest = _flatten(np.floor(points + np.float32(0.5)), near.shape)
        corner, weights = nearest, points
        if weigh:
            exact = np.clip(grid[:, at].astype(np.float64) + steps[:, at] + 1, 0, last)
            base = exact.astype(np.int32)
            corner = np.ravel_multi_index(tuple(base), near.shape)
            x, y, z = (np.stack([1 - f, f]) for f in exact - base)
            weights = np.stack([x[i] * y[j] * z[k] for i, j, k in CORNERS])
        yield Part(slice(start, start + rows), at, points, nearest, corner, weights)
        grid[0] += rows


def _flatten(cell: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Flat index in the padded grid of cells of the grid, those beyond it moved to its border."""
    x, y, z = (
        np.clip(c, -1, n - 3).astype(np.int32) + np.int32(1)
        for c, n in zip(cell, shape, strict=True)
    )
    return np.asarray((x * np.int32(shape[1]) + y) * np.int32(shape[2]) + z)


def _near_labels(padded: Sequence[np.ndarray]) -> np.ndarray:
    """True for every cell with a label at a corner, in any of the maps, and for the cells after it.

    A position just below a whole number may be rounded up to it, into the next cell.
    """
    near = np.zeros(padded[0].shape, bool)
    for labels in padded:
        near |= labels != 0
    for axis in range(3):
        near = near.swapaxes(0, axis)
        near[:-1] |= near[1:]
        near[1:] |= near[:-1].copy()
        near = near.swapaxes(0, axis)
    return near
