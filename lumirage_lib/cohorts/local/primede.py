"""PRIME-DE macaques as nBEST segments them: tissue and subcortical labels, from the user's folder.

Layout: ``brain_mask/``, ``brain_cerebrum/`` (the image), ``brain_tissue/`` and ``brain_subcortical/``
with a file of the same name for each animal. Each is turned to RAS, cut to the box of its mask and
padded evenly to one common size, the largest box rounded up to a multiple of 32.
"""

import functools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ...images.volumes import Volume, bounding_box, load_volume, reorient, round_up, window
from ..base import Scan
from ..cache import remember, state_of
from .layout import Entry, Layout, cohort_of, find_file, find_root, make_layout, read_entry, stem
from .pairlist import layout_of_list
from .protocols import numbered_table

TITLE = "PRIME-DE macaques as nBEST segments them"
NAME, REFERENCE = "primede", "milham2018,zhong2024nbest"
MULTIPLE = 32
TABLES = {
    "tissue": numbered_table(3, "tissue", "tissue"),
    "subcortical": numbered_table(12, "structure", "subcortical"),
}
EXPECTED = "NAME.nii.gz in each of brain_mask, brain_cerebrum, brain_tissue, brain_subcortical"


def _identify(image: Path) -> Scan:
    name = stem(image)
    found = re.match(r".*?sub-[a-zA-Z0-9]+", name)  # sessions of one animal
    return Scan(name, found[0] if found else name)


def find_primede(root: str = "", pairs: str = "", labels: str = "") -> Layout:
    """What there is of the nBEST outputs.

    Parameters
    ----------
    root : str
        Folder with the four folders; empty: ``LUMIRAGE_DATA_PRIMEDE``.
    pairs : str
        A pair list of the paper's authors, whose files are already cut, padded and aligned; they
        are used as they are. Else all ordered pairs of two animals.
    labels : {"tissue", "subcortical"}, optional
        The label set to put first; of a pair list, what its label maps are.

    Notes
    -----
    The authors align every mask to that of the first animal by an affine and resample images and
    labels. Here the affine of a pair is estimated on its two masks, and labels are interpolated
    once. Voxels keep the size in the header, where the authors write 1 mm.
    """
    folder = find_root(NAME, root)
    first = labels or "tissue"
    names = sorted(TABLES, key=lambda name: name != first)
    tables = {name: TABLES[name] for name in names}
    if pairs:
        others: dict[str, Any] = {"reference": REFERENCE, "title": TITLE}
        return layout_of_list(NAME, pairs, folder, _identify, first, TABLES[first], **others)
    entries, missing = [], []
    for image in sorted((folder / "brain_cerebrum").glob("*.nii*")):
        mask = find_file(folder / "brain_mask", stem(image))
        if mask is None:
            missing.append(f"{image}: no mask of that name in brain_mask; run nBEST on it anew")
            continue
        found = {name: find_file(folder / f"brain_{name}", stem(image)) for name in names}
        maps = {name: path for name, path in found.items() if path}
        entries.append(Entry(_identify(image), image, maps, mask=mask))
    masks = tuple(entry.mask for entry in entries if entry.mask)
    return make_layout(
        NAME,
        folder,
        entries,
        tables,
        expected=EXPECTED,
        problems=missing,
        reference=REFERENCE,
        title=TITLE,
        read=functools.partial(_read, masks),
        recipe=f"boxes {compute_grid(masks)}" if masks else "1",
        align_on_masks=True,
    )


primede = cohort_of(find_primede)


def _box(mask: Path) -> list[list[int]]:
    """First voxel and shape of the box of a mask in RAS."""

    def compute():
        start, shape = bounding_box(reorient(load_volume(mask)).data > 0)
        return [start.tolist(), shape.tolist()]

    return remember(["box", *state_of(mask)], compute)


def compute_grid(masks: Iterable[Path]) -> tuple[int, ...]:
    """Shape that holds the box of every mask, rounded up; a broken mask counts for nothing here."""
    shapes = [[1, 1, 1]]
    for mask in masks:
        try:
            shapes.append(_box(mask)[1])
        except ValueError:  # InputError: said when the scan itself is read
            continue
    return tuple(int(n) for n in round_up(np.max(shapes, axis=0), MULTIPLE))


def _read(masks: tuple[Path, ...], entry: Entry, label_set: str | None = None) -> Volume:
    volume = read_entry(entry, label_set)
    assert entry.mask is not None  # an animal without one is no entry
    (start, shape), grid = _box(entry.mask), np.array(compute_grid(masks))
    return window(volume, np.array(start) - (grid - shape) // 2, grid)
