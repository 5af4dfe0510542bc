"""The 95th percentile of surface distances (HD95), in the two definitions found in papers."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy

from ..errors import InputError
from ._checks import check_label_pair, check_spacing, to_codes, to_label_list

SWEEP_RADII = (4, 7, 20)  # voxels; squared distances fit 8 bits up to 7, 16 bits up to 100
FEW = 1 / 100  # of the voxels of a crop: distances of so few points are found sooner one by one


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
    maps = check_label_pair(fixed_labels, moved_labels, "moved_labels")
    known, (fixed, moved) = to_codes(*maps)
    code_of = {int(label): code for code, label in enumerate(known)}
    labels = to_label_list(labels)
    find_surface = SURFACES[definition]
    from surface_distance import lookup_tables  # which loads what planning a run needs not

    tables = [lookup_tables.create_table_neighbour_code_to_surface_area(s) for s in spacings]
    fixed_boxes, moved_boxes = _find_boxes(fixed), _find_boxes(moved)
    values = np.full((len(spacings), len(labels)), np.nan)
    for column, label in enumerate(labels):
        code = code_of.get(label, -1)
        if code not in fixed_boxes or code not in moved_boxes:
            continue
        box = tuple(
            slice(min(f.start, m.start), max(f.stop, m.stop))
            for f, m in zip(fixed_boxes[code], moved_boxes[code], strict=True)
        )
        a, b = find_surface(fixed[box] == code), find_surface(moved[box] == code)
        for row, (spacing, table) in enumerate(zip(spacings, tables, strict=True)):
            if _is_isotropic(spacing):
                values[row, column] = _sweep_percentile(a, b, table) * spacing[0]
            else:
                values[row, column] = max(
                    _exact_percentile(a, b, table, spacing), _exact_percentile(b, a, table, spacing)
                )
    index = pd.Index(labels, name="label", dtype=np.int64)
    return [pd.Series(row, index=index, name="hd95_mm") for row in values]


def _is_isotropic(spacing: tuple[float, float, float]) -> bool:
    return max(spacing) - min(spacing) <= 1e-6 * min(spacing)  # headers round to float32


def _find_boxes(codes: np.ndarray) -> dict[int, tuple[slice, ...]]:
    room = np.min_scalar_type(int(codes.max(initial=0)) + 1)
    boxes = scipy.ndimage.find_objects(
        codes.astype(room) + room.type(1)
    )  # +1: background has one too
    return {code: box for code, box in enumerate(boxes) if box is not None}


class Surface(NamedTuple):
    """Where the surface of a label is, and the shapes of its elements there, if they have any."""

    border: np.ndarray  # bool, 3D
    at: np.ndarray  # flat indices of the border
    code: np.ndarray | None  # neighbour codes there


def _find_elements(mask: np.ndarray) -> Surface:
    """Corners between eight voxels that are neither all inside the label nor all outside.

    The eight make an 8-bit code, for which the table of the surface-distance package gives the
    area of the marching-cubes triangles that pass between them.
    """
    code = mask.view(np.uint8)
    for axis, bits in ((2, 1), (1, 2), (0, 4)):  # two neighbours, then four, then all eight
        wider = np.zeros([n + (a == axis) for a, n in enumerate(code.shape)], np.uint8)
        ahead, source = wider.swapaxes(0, axis), code.swapaxes(0, axis)
        np.left_shift(source, bits, out=ahead[1:])
        ahead[:-1] |= source
        code = wider
    border = (code - np.uint8(1)) < 254  # neither 0 (outside, which wraps to 255) nor 255
    at = np.flatnonzero(border)
    return Surface(border, at, code.take(at))


def _find_boundary_voxels(mask: np.ndarray) -> Surface:
    """Voxels of the label with a face neighbour outside it; all weigh the same."""
    padded = np.pad(mask, 1)
    inner = padded.copy()
    for axis in range(3):
        for shift in (1, -1):
            inner &= np.roll(padded, shift, axis)
    border = (padded & ~inner)[1:-1, 1:-1, 1:-1]
    return Surface(border, np.flatnonzero(border), None)


SURFACES: dict[str, Callable[[np.ndarray], Surface]] = {
    "surface-element": _find_elements,
    "voxel-edt": _find_boundary_voxels,
}


def _sweep_percentile(a: Surface, b: Surface, area_table: np.ndarray) -> float:
    """HD95 in voxels, on isotropic grids.

    A sweep of small radius finds every distance up to that radius; if the percentile lies
    within, the rest need not be known and the answer is exact.
    """
    largest, radii = 0.0, list(SWEEP_RADII)
    for source, target in ((a, b), (b, a)):
        while radii:
            squared = _sweep_squared_distance(target.border, radii[0]).take(source.at)
            value = _squared_percentile(squared, source.code, area_table, radii[0])
            if np.isfinite(value):
                break
            radii.pop(0)  # the way back is hardly ever shorter
        else:
            value = _exact_percentile(source, target, area_table, (1.0, 1.0, 1.0))
        largest = max(largest, value)
    return largest


def _exact_percentile(
    source: Surface,
    target: Surface,
    area_table: np.ndarray,
    spacing: tuple[float, float, float],
) -> float:
    """95th percentile of the distance from each point of a surface to the nearest of another."""
    shape = target.border.shape
    if source.at.size + target.at.size < FEW * target.border.size:
        points = [np.stack(np.unravel_index(s.at, shape), 1) * spacing for s in (source, target)]
        distance = scipy.spatial.KDTree(points[1]).query(points[0])[0]
    else:
        distance = scipy.ndimage.distance_transform_edt(~target.border, sampling=spacing).take(
            source.at
        )
    return _percentile95(distance, None if source.code is None else area_table[source.code])


def _sweep_squared_distance(target: np.ndarray, radius: int) -> np.ndarray:
    """Squared distance in voxels to the nearest target, right wherever it is <= radius**2.

    The squared distance is separable (Felzenszwalb & Huttenlocher 2012): one sweep an axis, here
    over the offsets up to the radius only. Along the last axis whole rows are swept at once: what
    would run over into the next row falls into `radius` voxels of padding.
    """
    kind, unreached = (np.uint8, 200) if radius <= 7 else (np.uint16, 40_000)
    padded = np.full((*target.shape[:2], target.shape[2] + radius), unreached, kind)
    padded[..., : target.shape[2]][target] = 0
    squared = padded
    for axis in (2, 1, 0):
        source, farther = squared, np.empty_like(squared)
        squared = source.copy()
        # Flat for the last axis, else with the swept axis first.
        views = [v.reshape(-1) if axis == 2 else v.swapaxes(0, axis) for v in (squared, farther)]
        for offset in range(1, min(radius + 1, target.shape[axis])):
            np.add(source, kind(offset**2), out=farther)
            np.minimum(views[0][offset:], views[1][:-offset], out=views[0][offset:])
            np.minimum(views[0][:-offset], views[1][offset:], out=views[0][:-offset])
    return squared[..., : target.shape[2]]


def _squared_percentile(
    squared: np.ndarray, code: np.ndarray | None, area_table: np.ndarray, radius: int
) -> float:
    """95th percentile in voxels from squared distances right up to radius**2; else infinity."""
    beyond = radius**2 + 1
    squared = np.minimum(squared, beyond)
    if code is None:
        return _percentile95(
            np.where(squared < beyond, np.sqrt(squared, dtype=float), np.inf), None
        )
    areas = area_table.take(code)
    reached = np.cumsum(np.bincount(squared, areas), dtype=np.float64)
    reached /= reached[-1]
    value = int(np.searchsorted(reached, 0.95))
    if np.abs(reached - 0.95).min() < 1e-9:  # the order of the sum decides: that of the definition
        value = int(_percentile95(squared, areas))
    return float(np.sqrt(value)) if value < beyond else float("inf")


def _percentile95(values: np.ndarray, areas: np.ndarray | None) -> float:
    """Unweighted percentile, or the first value at which 95 % of the area is reached."""
    if areas is None:
        with np.errstate(invalid="ignore"):  # infinity times a weight of zero
            return float(np.percentile(values, 95))
    order = np.lexsort((areas, values))  # by area within ties, as surface-distance sorts
    areas = areas[order]
    reached = np.searchsorted(np.cumsum(areas) / np.sum(areas), 0.95)
    return float(values[order[min(reached, len(order) - 1)]])
