"""What a folder on disk holds of a data set, and the cohort that is made of it."""

import functools
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...errors import InputError
from ...images.reading import SAME_MM, read_header
from ...images.volumes import Volume, load_volume, reorient
from ..base import Cohort, Pair, Scan, balanced_pairs
from ..cache import hash_file, hash_json

ENDINGS = (".nii.gz", ".nii")
MASK = "mask"  # in place of a label set: the brain mask


@dataclass(frozen=True)
class Entry:
    """One scan on disk.

    Attributes
    ----------
    scan : Scan
    image : Path
    labels : mapping
        Label set -> file, of those that are there.
    modality : str
        Pairs of two modalities are registered across them; empty where all are one.
    mask : Path, optional
        Brain mask, where the data set has one.
    """

    scan: Scan
    image: Path
    labels: Mapping[str, Path]
    modality: str = ""
    mask: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.image, *self.labels.values(), *([self.mask] if self.mask else []))


def read_entry(entry: Entry, label_set: str | None = None) -> Volume:
    """The image of a scan, one of its label maps or its mask, as the file has it, in RAS.

    Raises
    ------
    InputError
        The file is unreadable, or the label map lies on another grid than its image.
    """
    if label_set is None:
        return reorient(load_volume(entry.image))
    path = entry.mask if label_set == MASK and entry.mask else entry.labels[label_set]
    require_same_grid(path, entry.image)
    return reorient(load_volume(path, labels=True))


@dataclass(frozen=True)
class Layout:
    """What there is of a data set in a folder.

    Attributes
    ----------
    name : str
    root : Path
    entries : tuple of Entry
        Scans with an image, in order.
    pairs : tuple of Pair
        In the order of use; both images and both maps of the first label set are there.
    label_sets : mapping
        Label set -> table (index `label`; columns `name` and `group`). Other numbers in a map count
        as background.
    problems : tuple of str
        What is missing, one sentence each, with path and remedy.
    reference : str
        Citation key.
    title : str
        What it is in a few words.
    contrasts : tuple of str
        See :class:`lumirage_lib.cohorts.base.Cohort`.
    read : callable
        ``read(entry, label_set or None) -> Volume``, in RAS.
    recipe : str
        What `read` does to the bytes of the files; part of the fingerprint.
    align_on_masks : bool
        The linear alignment of a pair is estimated on the brain masks.
    """

    name: str
    root: Path
    entries: tuple[Entry, ...]
    pairs: tuple[Pair, ...]
    label_sets: Mapping[str, pd.DataFrame]
    problems: tuple[str, ...]
    reference: str = ""
    title: str = ""
    contrasts: tuple[str, ...] = ("T1w",)
    read: Callable[[Entry, str | None], Volume] = read_entry
    recipe: str = "1"
    align_on_masks: bool = False

    def entry(self, scan: Scan) -> Entry:
        for entry in self.entries:
            if entry.scan == scan:
                return entry
        raise InputError(f"{self.name}: no scan {scan.id!r} in {self.root}")

    def modalities(self, pair: Pair) -> tuple[str, str]:
        """Of the fixed and of the moving image."""
        return self.entry(pair.fixed).modality, self.entry(pair.moving).modality


def find_root(name: str, root: str) -> Path:
    """The folder of a data set: as given, else that of ``LUMIRAGE_DATA_NAME``.

    Raises
    ------
    InputError
        Neither is set, or there is no such folder.
    """
    variable = f"LUMIRAGE_DATA_{name.upper().replace('-', '_')}"
    given = root or os.environ.get(variable, "")
    if not given:
        raise InputError(
            f"{name}: nobody said where the data lie; give root=DIR (--root DIR) or set {variable}"
        )
    path = Path(given).expanduser()
    if not path.is_dir():
        raise InputError(f"{name}: {path} is no folder; correct root or {variable}")
    return path


def make_layout(
    name: str,
    root: Path,
    entries: Iterable[Entry],
    label_sets: Mapping[str, pd.DataFrame],
    *,
    expected: str,
    pairs: Iterable[Pair] | None = None,
    problems: Iterable[str] = (),
    **others,
) -> Layout:
    """A layout with the pairs that are complete; those that are not are named among the problems.

    Parameters
    ----------
    expected : str
        The files looked for, for messages.
    pairs : iterable of Pair, optional
        As the source prescribes them; else every ordered pair of two subjects, balanced.
    others
        Further attributes of :class:`Layout`.

    Raises
    ------
    InputError
        No image was found.
    """
    entries = tuple(entries)
    if not entries:
        raise InputError(f"{name}: no image in {root}; expected {expected}")
    first = next(iter(label_sets))
    problems = list(problems)
    problems += [
        f"{e.image}: no {first} labels beside it, expected {expected}; the image is left out"
        for e in entries
        if first not in e.labels
    ]
    usable = [e.scan for e in entries if first in e.labels]
    if pairs is None:
        n = len({scan.subject for scan in usable})
        pairs = balanced_pairs(usable, n * (n - 1)) if n > 1 else []
    there = set(usable)
    complete = tuple(p for p in pairs if {p.fixed, p.moving} <= there)
    return Layout(name, root, entries, complete, label_sets, tuple(problems), **others)


def stem(path: Path) -> str:
    """Name of a NIfTI file without its ending."""
    for ending in ENDINGS:
        if path.name.endswith(ending):
            return path.name.removesuffix(ending)
    return path.stem


def find_file(folder: Path, stem: str) -> Path | None:
    """The NIfTI file of that stem, compressed or not."""
    found = (folder / f"{stem}{ending}" for ending in ENDINGS)
    return next((path for path in found if path.is_file()), None)


def require_same_grid(labels: Path, image: Path) -> None:
    """Refuse a label map (or mask) that is not on the voxels of its image.

    Raises
    ------
    InputError
        Another shape or affine, or one of the two has no readable header.
    """
    here, wanted = read_header(labels), read_header(image)
    if here.shape != wanted.shape:
        raise InputError(
            f"{labels}: grid {here.shape}, but its image {image.name} has {wanted.shape}; "
            "resample the map onto the image by nearest neighbour"
        )
    if not np.allclose(here.affine, wanted.affine, atol=SAME_MM):
        raise InputError(
            f"{labels}: its affine is not that of its image {image.name}; resample the map onto the "
            "image, or copy the header if the voxels are known to agree"
        )


def to_cohort(layout: Layout) -> Cohort:
    """The cohort of a layout; nothing is read before an image or a label map is asked for."""
    by_scan = {entry.scan: entry for entry in layout.entries}
    numbers = {name: table.index.tolist() for name, table in layout.label_sets.items()}
    recipe = hash_json([layout.recipe, numbers])

    def load_labels(scan: Scan, label_set: str) -> Volume:
        entry = by_scan[scan]
        if label_set not in entry.labels:
            raise InputError(f"{entry.image}: there is no {label_set} label map of this image")
        volume = layout.read(entry, label_set)
        data = np.where(np.isin(volume.data, numbers[label_set]), volume.data, 0)
        return Volume(data.astype(np.int32), volume.affine, f"{layout.name} {scan.id} {label_set}")

    def fingerprint(scan: Scan) -> str:
        return ".".join([recipe, *(hash_file(path) for path in by_scan[scan].files)])

    return Cohort(
        layout.name,
        tuple(by_scan),
        lambda scan: layout.read(by_scan[scan], None),
        load_labels,
        layout.label_sets,
        fingerprint,
        reference=layout.reference,
        aligned_by=_mask_cohort(layout, fingerprint) if layout.align_on_masks else None,
        lacks=frozenset(
            (entry.scan.id, name)
            for entry in layout.entries
            for name in layout.label_sets
            if name not in entry.labels
        ),
        title=layout.title,
        contrasts=layout.contrasts,
        limits=(
            "The labels are those that lie beside the images. Where a program drew them on each image, a "
            "method is rewarded for what that program would draw, and the ruler changes with the contrast. "
            "Every contrast starts from the centres of mass of its own two images.",
        ),
        pairs=layout.pairs,
    )


def cohort_of(find: Callable[..., Layout]) -> Callable[..., Cohort]:
    """What makes the cohort of a data set; its options are those of the layout."""

    @functools.wraps(find)
    def make(**options: Any) -> Cohort:
        return to_cohort(find(**options))

    return make


def _mask_cohort(layout: Layout, fingerprint: Callable[[Scan], str]) -> Cohort:
    """The same scans with the brain mask for an image."""

    def load_mask(scan: Scan) -> Volume:
        mask = layout.read(layout.entry(scan), MASK)
        return Volume((mask.data > 0).astype(np.float32), mask.affine, f"mask of {scan.id}")

    def refuse(scan: Scan, label_set: str) -> Volume:
        raise InputError(f"{layout.name}: the masks have no labels")

    scans = tuple(entry.scan for entry in layout.entries)
    return Cohort(layout.name, scans, load_mask, refuse, {}, lambda s: f"mask.{fingerprint(s)}")
