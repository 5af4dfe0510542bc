"""What every metric asks of its arrays, said once, so that all refuse in the same words."""

from collections.abc import Iterable

import numpy as np

from ..errors import InputError

LARGEST_CODE = 2**12  # labels up to this are their own codes


def check_labels(labels: np.ndarray, name: str) -> np.ndarray:
    """A label map as non-negative integers; maps read as floats are cast when they are whole."""
    labels = np.ascontiguousarray(labels)  # images read by nibabel are in Fortran order
    if labels.dtype == bool:
        return labels.astype(np.uint8)
    if labels.dtype.kind == "f":
        with np.errstate(invalid="ignore"):  # NaN: unequal below
            whole = labels.astype(np.int64)
        if not np.array_equal(whole, labels):
            raise InputError(
                f"{name}: expected whole numbers, got fractions or NaN; was the label map "
                "interpolated? Warp labels with warp_labels."
            )
        labels = whole
    if labels.dtype.kind not in "iu":
        raise InputError(f"{name}: expected an integer label map, got dtype {labels.dtype}.")
    if labels.size and labels.min() < 0:
        raise InputError(f"{name}: expected labels >= 0, got {labels.min()}; relabel the map.")
    return labels


def check_label_pair(
    fixed_labels: np.ndarray, other_labels: np.ndarray, other: str
) -> tuple[np.ndarray, np.ndarray]:
    """Two label maps on one grid."""
    fixed_labels = check_labels(fixed_labels, "fixed_labels")
    other_labels = check_labels(other_labels, other)
    if fixed_labels.shape != other_labels.shape:
        raise InputError(
            f"{other}: expected the shape of fixed_labels {fixed_labels.shape}, got "
            f"{other_labels.shape}; warp the labels onto the fixed grid first."
        )
    return fixed_labels, other_labels


def check_mask(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A boolean mask on the grid `shape`; anything above zero is inside."""
    mask = np.asarray(mask) > 0
    if mask.shape != tuple(shape):
        raise InputError(f"mask: expected the grid {tuple(shape)}, got {mask.shape}.")
    return mask


def check_spacing(spacing_mm: Iterable[float]) -> tuple[float, float, float]:
    """Three positive voxel sizes in mm."""
    spacing = tuple(float(s) for s in spacing_mm)
    if len(spacing) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing):
        raise InputError(f"spacing_mm: expected three positive numbers, got {spacing}.")
    return spacing


def to_label_list(labels: Iterable[int]) -> list[int]:
    """Distinct labels in the order given."""
    return list(dict.fromkeys(int(label) for label in labels))


def to_codes(*label_maps: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Label maps with small numbers, in the order of the labels, so that memory is by their count.

    Returns
    -------
    values : (k,) integer array, ascending
        ``values[code]`` is the label; 0 is always among them.
    codes : list of C-ordered arrays of the smallest unsigned type
    """
    largest = max((int(m.max(initial=0)) for m in label_maps), default=0)
    if largest <= LARGEST_CODE:
        values = np.arange(largest + 1)
        codes = [m.astype(np.min_scalar_type(largest), order="C") for m in label_maps]
    else:
        values = np.unique(np.concatenate([[0], *(np.unique(m) for m in label_maps)]))
        kind = np.min_scalar_type(len(values) - 1)
        codes = [np.searchsorted(values, m).astype(kind, order="C") for m in label_maps]
    return values, codes
