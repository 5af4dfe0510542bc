"""Whether what lies in a folder can be used: every file opened, every grid compared."""

from dataclasses import dataclass

import numpy as np

from ...errors import InputError
from ...images.brain import find_brain
from ...images.volumes import load_volume
from ..base import Pair
from .layout import Entry, Layout, require_same_grid


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes
    ----------
    there : dict
        "images" and every label set -> number of files.
    problems : tuple of str
        What is missing or cannot be used, with path and remedy.
    pairs : tuple of Pair
        Those of which all files are there and in order.
    """

    there: dict[str, int]
    problems: tuple[str, ...]
    pairs: tuple[Pair, ...]


def check_layout(layout: Layout, quick: bool = False) -> Report:
    """Look at every file of a layout.

    Parameters
    ----------
    layout : Layout
    quick : bool
        Read headers only: a file cut off in its data is not noticed then.
    """
    problems, broken = list(layout.problems), set()
    for entry in layout.entries:
        found, usable = _check_entry(layout, entry, quick)
        problems += found
        if not usable:
            broken.add(entry.scan)
    there = {"images": len(layout.entries)}
    for name in layout.label_sets:
        there[f"{name} label maps"] = sum(name in entry.labels for entry in layout.entries)
    pairs = tuple(p for p in layout.pairs if not broken.intersection((p.fixed, p.moving)))
    return Report(there, tuple(problems), pairs)


def _check_entry(layout: Layout, entry: Entry, quick: bool) -> tuple[list[str], bool]:
    """Sentences about the files of one scan, and whether the scan can be used."""
    try:
        for path in entry.files[1:]:
            require_same_grid(path, entry.image)
        if quick:
            require_same_grid(entry.image, entry.image)
            return [], True
        image = load_volume(entry.image)
        find_brain(image)
        if entry.mask:
            load_volume(entry.mask)
        notes = [f"{entry.image.parent}: {note}" for note in image.notes]
        for name, path in entry.labels.items():
            found = set(np.unique(load_volume(path, labels=True).data).tolist()) - {0}
            known = set(layout.label_sets[name].index)
            if not found & known:
                raise InputError(f"{path}: none of the labels of {name} is in it; is it the map?")
            if found - known:
                extra = ", ".join(map(str, sorted(found - known)[:10]))
                notes.append(f"{path}: labels {extra} are not of {name}; taken for background")
        return notes, True
    except InputError as error:
        return [str(error)], False
