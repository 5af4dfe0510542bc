"""NIMH healthy volunteers (OpenNeuro ds005752): T1w, T2w, T2*w and FLAIR, from the user's BIDS folder.

Layout: ``sub-X/[ses-Y/]anat/sub-X[_ses-Y][_acq-…]_T1w.nii.gz`` (or T2w, T2starw, FLAIR); label maps
that the user made of them under ``derivatives/SOURCE/`` in the same folders, named as the image with
``_dseg``: ``…_T1w_dseg.nii.gz``, or for T1w also ``…_dseg.nii.gz`` without the contrast. Sources are
synthseg (all contrasts), slant and atropos (T1w).
"""

import functools
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...images.volumes import Volume
from ..base import Scan
from .layout import Entry, Layout, cohort_of, find_file, find_root, make_layout, read_entry, stem
from .pairlist import layout_of_list
from .protocols import label_table

TITLE = "real contrasts of healthy adults"
NAME, REFERENCE = "nimh", "nugent2022"
SUFFIXES = {"T1w": ["T1w"], "T2w": ["T2w"], "T2starw": ["T2starw", "T2star"], "FLAIR": ["FLAIR"]}
PLACES = ("sub-*", "sub-*/ses-*")
SOURCES = {"T1w": ["synthseg", "slant", "atropos"]}  # of the other contrasts synthseg alone


def identify_bids(image: Path) -> Scan:
    """Subject and session in the name of a BIDS file; other entities are not of the scan's name."""
    found = re.match(r"(?P<subject>sub-[a-zA-Z0-9]+)(_(?P<session>ses-[a-zA-Z0-9]+))?", image.name)
    if found is None:
        raise InputError(f"{image}: expected a name that begins with sub-LABEL")
    subject, session = found["subject"], found["session"]
    return Scan(f"{subject}_{session}" if session else subject, subject)


def find_nimh(
    root: str = "",
    pairs: str = "",
    contrast: str = "T1w",
    labels: str = "",
    acq: str = "",
    mask: str = "",
) -> Layout:
    """What there is of ds005752 in one contrast.

    Parameters
    ----------
    root : str
        The BIDS folder; empty: ``LUMIRAGE_DATA_NIMH``.
    pairs : str
        A pair list of the paper's authors, instead of all ordered pairs of two subjects.
    contrast : {"T1w", "T2w", "T2starw", "FLAIR"}
        Scans have the same names in all, so that the same pairs can be asked of each.
    labels : {"synthseg", "slant", "atropos"}, optional
        The one label source to use; else all the contrast has, SynthSeg first.
    acq : str
        Only images of that BIDS acquisition; else the first by name of a session.
    mask : str
        Label source outside whose labels the image is set to 0, for images with skull.
    """
    if contrast not in SUFFIXES:
        raise InputError(f"contrast {contrast!r}: expected one of {', '.join(SUFFIXES)}")
    sources = SOURCES.get(contrast, ["synthseg"])
    if labels and labels not in sources:
        raise InputError(f"labels {labels!r} of {contrast}: expected one of {', '.join(sources)}")
    chosen = [labels] if labels else sources
    if mask and mask not in chosen:
        raise InputError(f"mask {mask!r}: expected a label source in use, {', '.join(chosen)}")
    folder = find_root(NAME, root)
    others: dict[str, Any] = {
        "reference": REFERENCE,
        "title": TITLE,
        "contrasts": tuple(SUFFIXES),
        "read": functools.partial(_read, mask),
        "recipe": f"masked by {mask}" if mask else "1",
    }
    if pairs:
        name = chosen[0]
        return layout_of_list(NAME, pairs, folder, identify_bids, name, label_table(name), **others)
    expected = (
        f"sub-X/[ses-Y/]anat/sub-X[_ses-Y]_{contrast}.nii.gz and, with the same folders and name, "
        f"derivatives/{chosen[0]}/…_{contrast}_dseg.nii.gz"
    )
    entries = list(_find_entries(folder, contrast, chosen, acq))
    return make_layout(
        NAME, folder, entries, {s: label_table(s) for s in chosen}, expected=expected, **others
    )


nimh = cohort_of(find_nimh)


def _find_entries(folder: Path, contrast: str, sources: list[str], acq: str) -> Iterator[Entry]:
    """One image a session: the first by name, one with labels before one without."""
    sessions: dict[Scan, list[Entry]] = {}
    for suffix in SUFFIXES[contrast]:
        # Not "**": beside anat/ lie recordings with thousands of files.
        found_here = (folder.glob(f"{place}/anat/sub-*_{suffix}.nii*") for place in PLACES)
        for image in sorted(itertools.chain(*found_here)):
            if acq and f"_acq-{acq}_" not in image.name:
                continue
            found = {s: _find_labels(folder, image, suffix, s) for s in sources}
            labels = {name: path for name, path in found.items() if path}
            entry = Entry(identify_bids(image), image, labels)
            sessions.setdefault(entry.scan, []).append(entry)
    for scan in sorted(sessions, key=lambda s: s.id):
        yield max(sessions[scan], key=lambda entry: sources[0] in entry.labels)


def _find_labels(folder: Path, image: Path, suffix: str, source: str) -> Path | None:
    place = folder / "derivatives" / source / image.parent.relative_to(folder)
    names = [f"{stem(image)}_dseg"]
    if suffix == "T1w":
        names.append(stem(image).removesuffix("T1w") + "dseg")
    found = (find_file(place, name) for name in names)
    return next((path for path in found if path), None)


def _read(mask: str, entry: Entry, label_set: str | None = None) -> Volume:
    volume = read_entry(entry, label_set)
    if mask and label_set is None:
        if mask not in entry.labels:
            raise InputError(f"{entry.image}: no {mask} labels to mask it by")
        inside = read_entry(entry, mask).data > 0
        return Volume(np.where(inside, volume.data, np.float32(0)), volume.affine, volume.name)
    return volume
