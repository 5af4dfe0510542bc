"""The 95th percentile of surface distances (HD95), in the two definitions found in papers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import pandas as pd
from scipy import ndimage
from surface_distance import lookup_tables

from ..errors import InputError
from ._checks import check_label_pair, check_spacing, to_label_list

SWEEP_RADII = (5, 12)  # voxels; farther than this the full distance transform is as quick
UNREACHED = np.uint16(40_000)  # a squared distance beyond any radius, with room to add to it


def compute_hd95(
    fixed_labels: np.ndarray,
    moved_labels: np.ndarray,
    labels: Iterable[int],
    spacing_mm: Iterable[float],
    definition: str = "surface-element",
) -> pd.Series:
    """95th percentile of the distance between the surfaces of each label, in mm.

    The larger of the two directed percentiles (fixed to moved, moved to fixed).

    Parameters
    ----------
    fixed_labels, moved_labels : (X, Y, Z) integer arrays
        Label maps on the fixed grid.
    labels : iterable of int
        The labels to measure; 0 measures the background as if it were a structure.
    spacing_mm : three floats
        Voxel size along each array axis. (1, 1, 1) gives voxels.
    definition : {"surface-element", "voxel-edt"}
        "surface-element": surfaces are the marching-cubes elements between voxels and each
        distance weighs as much as the area of its element; the definition of the package
        `surface-distance` (Nikolov et al. 2021, doi:10.2196/26151), whose values this
        returns. "voxel-edt": surfaces are the voxels with a face neighbour outside the label,
        and every voxel weighs the same; the definition of MONAI. The two differ by up to
        about a voxel on thin structures, so never compare one with the other.

    Returns
    -------
    Series of float indexed by label, named `hd95_mm`
        NaN where the label is absent from either map: never infinite. Count the lost ones with
        `compute_overlap`.

    Raises
    ------
    InputError
        If shapes disagree, the spacing is not positive or the definition is unknown.
    """
    return _measure(fixed_labels, moved_labels, labels, [check_spacing(spacing_mm)], definition)[0]


def compute_hd95_table(
    fixed_labels: np.ndarray,
    moved_labels: np.ndarray,
    labels: Iterable[int],
    spacing_mm: Iterable[float],
    definition: str = "surface-element",
) -> pd.DataFrame:
    """HD95 in mm and in voxels (unit spacing) from one pass; see `compute_hd95`.

    Returns
    -------
    DataFrame indexed by label, columns `hd95_mm` and `hd95_voxel`
    """
    spacing = check_spacing(spacing_mm)
    labels = to_label_list(labels)
    if _is_isotropic(spacing):  # distances, and hence their percentile, scale with the voxel
        voxel = _measure(fixed_labels, moved_labels, labels, [(1.0, 1.0, 1.0)], definition)[0]
        mm = voxel * spacing[0]
    else:
        spacings = [spacing, (1.0, 1.0, 1.0)]
        mm, voxel = _measure(fixed_labels, moved_labels, labels, spacings, definition)
    return pd.DataFrame({"hd95_mm": mm, "hd95_voxel": voxel})


def _measure(
    fixed_labels: np.ndarray,
    moved_labels: np.ndarray,
    labels: Iterable[int],
    spacings: list[tuple[float, float, float]],
    definition: str,
) -> list[pd.Series]:
    """One Series for each spacing; the crops and surfaces are found once for all of them."""
    if definition not in SURFACES:
        raise InputError(f"definition: expected one of {sorted(SURFACES)}, got {definition!r}.")
    fixed, moved = check_label_pair(fixed_labels, moved_labels, "moved_labels")
    labels = to_label_list(labels)
    find_surface = SURFACES[definition]
    tables = [lookup_tables.create_table_neighbour_code_to_surface_area(s) for s in spacings]
    fixed_boxes, moved_boxes = _find_boxes(fixed), _find_boxes(moved)
    values = np.full((len(spacings), len(labels)), np.nan)
    for column, label in enumerate(labels):
        if label not in fixed_boxes or label not in moved_boxes:
            continue
        box = tuple(
            slice(min(f.start, m.start), max(f.stop, m.stop))
            for f, m in zip(fixed_boxes[label], moved_boxes[label], strict=True)
        )
        surfaces = find_surface(fixed[box] == label), find_surface(moved[box] == label)
        for row, (spacing, table) in enumerate(zip(spacings, tables, strict=True)):
            values[row, column] = max(
                _directed_percentile(code, border, target, table, spacing)
                for (border, code), (target, _) in (surfaces, surfaces[::-1])
            )
    index = pd.Index(labels, name="label", dtype=np.int64)
    return [pd.Series(row, index=index, name="hd95_mm") for row in values]


def _is_isotropic(spacing: tuple[float, float, float]) -> bool:
    return max(spacing) - min(spacing) <= 1e-6 * min(spacing)  # headers round to float32


def _find_boxes(labels: np.ndarray) -> dict[int, tuple[slice, ...]]:
    boxes = ndimage.find_objects(labels.astype(np.int32) + 1)  # +1: background has a box too
    return {label: box for label, box in enumerate(boxes) if box is not None}


Surface = tuple[np.ndarray, np.ndarray | None]  # where it is; neighbour codes there, if any


def _find_elements(mask: np.ndarray) -> Surface:
    """Corners between eight voxels that are neither all inside the label nor all outside.

    The eight make an 8-bit code, for which the table of the surface-distance package gives the
    area of the marching-cubes triangles that pass between them.
    """
    code = np.zeros(np.add(mask.shape, 1), np.uint8)
    bits = mask.view(np.uint8)
    for n in range(8):
        corner = tuple(
            slice(1 - (n >> s & 1), 1 - (n >> s & 1) + size)
            for s, size in zip((2, 1, 0), mask.shape, strict=True)
        )
        code[corner] += bits << np.uint8(7 - n)
    border = (code - np.uint8(1)) < 254  # neither 0 (outside, which wraps to 255) nor 255
    return border, code[border]


def _find_boundary_voxels(mask: np.ndarray) -> Surface:
    """Voxels of the label with a face neighbour outside it; all weigh the same."""
    padded = np.pad(mask, 1)
    inner = padded.copy()
    for axis in range(3):
        for shift in (1, -1):
            inner &= np.roll(padded, shift, axis)
    return (padded & ~inner)[1:-1, 1:-1, 1:-1], None


SURFACES: dict[str, Callable[[np.ndarray], Surface]] = {
    "surface-element": _find_elements,
    "voxel-edt": _find_boundary_voxels,
}


def _directed_percentile(
    code: np.ndarray | None,
    border: np.ndarray,
    target: np.ndarray,
    area_table: np.ndarray,
    spacing: tuple[float, float, float],
) -> float:
    """95th percentile of the distance from each point of `border` to the nearest of `target`.

    On isotropic grids a sweep of small radius finds every distance up to that radius; if the
    percentile lies within, the rest need not be known and the answer is exact.
    """
    areas = None if code is None else area_table[code]
    if _is_isotropic(spacing):
        for radius in SWEEP_RADII:
            squared = np.minimum(_sweep_squared_distance(target, radius)[border], radius**2 + 1)
            value = _percentile95(squared, areas, partial(_to_distance, radius=radius))
            if np.isfinite(value):
                return value * spacing[0]
    distance = ndimage.distance_transform_edt(~target, sampling=spacing)[border]
    return _percentile95(distance, areas)


def _sweep_squared_distance(target: np.ndarray, radius: int) -> np.ndarray:
    """Squared distance in voxels to the nearest target, right wherever it is <= radius**2.

    The squared distance is separable (Felzenszwalb & Huttenlocher 2012): one sweep an axis,
    here over the offsets up to the radius only. The axes rotate so that each is swept as the
    first, whose shifts are contiguous in memory.
    """
    squared = np.where(target, np.uint16(0), UNREACHED)
    for _ in range(3):
        source = np.ascontiguousarray(squared.transpose(1, 2, 0))
        squared, farther = source.copy(), np.empty_like(source)
        for offset in range(1, min(radius + 1, len(source))):
            np.add(source, np.uint16(offset**2), out=farther)
            np.minimum(squared[offset:], farther[:-offset], out=squared[offset:])
            np.minimum(squared[:-offset], farther[offset:], out=squared[:-offset])
    return squared


def _to_distance(squared: np.ndarray, radius: int) -> np.ndarray:
    """Voxels; infinite beyond the radius of the sweep, where the distance is not known."""
    return np.where(squared <= radius**2, np.sqrt(squared, dtype=np.float64), np.inf)


def _percentile95(
    values: np.ndarray, areas: np.ndarray | None, to_distance: Callable = np.asarray
) -> float:
    """Unweighted percentile, or the first distance at which 95 % of the area is reached.

    `values` rise with the distance; sorting small integers is much faster than floats.
    """
    if areas is None:
        with np.errstate(invalid="ignore"):  # infinity times a weight of zero
            return float(np.percentile(to_distance(values), 95))
    order = np.lexsort((areas, values))  # by area within ties, as surface-distance sorts
    areas = areas[order]
    reached = np.searchsorted(np.cumsum(areas) / np.sum(areas), 0.95)
    return float(to_distance(values[order[min(reached, len(order) - 1)]]))
