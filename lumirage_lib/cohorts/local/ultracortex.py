"""UltraCortex: 12 subjects at 9.4 T with manual labels, 0.6 mm, from the user's folder.

Layout: ``derivatives/skullstrips/sub-X_ses-1_skullstrip.nii`` and
``derivatives/manual_segmentation/sub-X_ses-1_seg.nii``; as the paper's authors brought them to one
grid, ``processed_skullstrips/`` and ``processed_segmentations/`` with the same names. Three subjects
are MPRAGE, the others MP2RAGE.
"""

import functools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from ...errors import InputError
from ...images.volumes import Volume, resample, rescale_grid
from ..base import Scan
from .layout import Entry, Layout, cohort_of, find_file, find_root, make_layout, read_entry
from .pairlist import layout_of_list
from .protocols import numbered_table

TITLE = "twelve adults at 9.4 T and 0.6 mm"
NAME, REFERENCE = "ultracortex", "mahler2024"
SUBJECTS = (3, 9, 20, 29, 37, 44, 45, 46, 57, 69, 70, 73)
MPRAGE = {f"sub-{number}" for number in (37, 45, 57)}
FOLDERS = {
    False: ("skullstrips", "manual_segmentation"),
    True: ("processed_skullstrips", "processed_segmentations"),
}
TABLE = numbered_table(4, "class", "tissue")


def _identify(image: Path) -> Scan:
    found = re.match(r"sub-\d+", image.name)
    if found is None:
        raise InputError(f"{image}: expected a name that begins with sub-NUMBER")
    return Scan(found[0], found[0])


def _modality(scan: Scan) -> str:
    # The numbers by which the authors' lists call them.
    return "1" if scan.id in MPRAGE else "2"


def find_ultracortex(
    root: str = "", pairs: str = "", processed: bool = False, spacing_mm: float = 0.0
) -> Layout:
    """What there is of UltraCortex.

    Parameters
    ----------
    root : str
        The data set's folder, or its ``derivatives``; empty: ``LUMIRAGE_DATA_ULTRACORTEX``.
    pairs : str
        A pair list of the paper's authors, instead of all 132 ordered pairs.
    processed : bool
        The files that the authors' preprocessing leaves, instead of the published ones.
    spacing_mm : float
        Voxel size to resample images and labels to (the paper has 1.0 too); 0 keeps that of the
        file. A working resolution with labels at full size is asked of the preprocessing instead.

    Notes
    -----
    Intensities are clipped at the percentiles 1 and 99 of the volume and scaled to [0, 1].
    """
    folder = find_root(NAME, root)
    others: dict[str, Any] = {
        "reference": REFERENCE,
        "title": TITLE,
        "read": functools.partial(_read, spacing_mm),
        "recipe": f"winsorised {spacing_mm:g} mm",
    }
    if pairs:
        return layout_of_list(NAME, pairs, folder, _identify, "manual", TABLE, _modality, **others)
    derivatives = folder / "derivatives" if (folder / "derivatives").is_dir() else folder
    images, maps = (derivatives / name for name in FOLDERS[processed])
    entries, missing = [], []
    for number in SUBJECTS:
        image = find_file(images, f"sub-{number}_ses-1_skullstrip")
        if image is None:
            missing.append(f"{images}/sub-{number}_ses-1_skullstrip.nii: not there; download it")
            continue
        labels = find_file(maps, f"sub-{number}_ses-1_seg")
        scan = _identify(image)
        entries.append(Entry(scan, image, {"manual": labels} if labels else {}, _modality(scan)))
    return make_layout(
        NAME,
        folder,
        entries,
        {"manual": TABLE},
        expected=f"{images.name}/sub-X_ses-1_skullstrip.nii and {maps.name}/sub-X_ses-1_seg.nii",
        problems=missing,
        **others,
    )


ultracortex = cohort_of(find_ultracortex)


def winsorise(volume: Volume, low: float = 1.0, high: float = 99.0) -> Volume:
    """Clip at two percentiles of the whole volume, air included, and scale to [0, 1]."""
    bottom, top = np.percentile(volume.data, [low, high])
    if top <= bottom:
        raise InputError(f"{volume.name}: percentiles {low:g} and {high:g} are both {top:g}")
    scaled = (np.clip(volume.data, bottom, top) - bottom) / (top - bottom)
    return replace(volume, data=scaled.astype(np.float32))


def _read(spacing_mm: float, entry: Entry, label_set: str | None = None) -> Volume:
    volume = read_entry(entry, label_set)
    if label_set is None:
        volume = winsorise(volume)
    if not spacing_mm or np.allclose(volume.spacing_mm, spacing_mm, rtol=1e-3):
        return volume
    grid = rescale_grid(volume.affine, volume.shape, spacing_mm)
    if label_set is not None:
        return resample(volume, *grid, order=0)
    zoom = spacing_mm / np.array(volume.spacing_mm)
    # As wide at half maximum as a new voxel, less the old one in quadrature: what the coarser grid can hold.
    sigma = np.sqrt(np.maximum(zoom**2 - 1, 0)) / 2.355
    return resample(replace(volume, data=scipy.ndimage.gaussian_filter(volume.data, sigma)), *grid)
