"""The pair lists by which the paper's authors drive their scripts.

A list is JSON: ``{"pairs": [{"f_img", "m_img", "f_seg", "m_seg", "f_modality", "m_modality"}, …],
"labels": […]}``, with the paths of their machine. A path is found again under the user's folder by
its longest ending that exists there.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pandas as pd

from ...errors import InputError
from ..base import Pair, Scan
from .layout import Entry, Layout, make_layout
from .protocols import choose_labels

KEYS = ("f_img", "m_img", "f_seg", "m_seg")
PER_SIDE = {"f": "fixed", "m": "moving"}


def read_pair_list(path: str | Path) -> tuple[list[dict], list[int]]:
    """Pairs of a list, and the labels it measures (none: all).

    Raises
    ------
    InputError
        The file is no such list.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        pairs = [{key: str(pair[key]) for key in KEYS} | dict(pair) for pair in content["pairs"]]
        labels = [int(label) for label in content.get("labels", [])]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f'{path}: expected JSON {{"pairs": [{{{", ".join(KEYS)}}}, …], "labels": […]}}, '
            f"got {type(error).__name__}: {error}"
        ) from error
    if not pairs:
        raise InputError(f"{path}: the list of pairs is empty")
    return pairs, labels


def find_again(listed: str, root: Path) -> Path | None:
    """The file under `root` that a path of another machine means."""
    parts = [part for part in PurePosixPath(listed).parts if part not in ("/", "..")]
    found = (root.joinpath(*parts[start:]) for start in range(len(parts)))
    return next((path for path in found if path.is_file()), None)


def layout_of_list(
    name: str,
    path: str | Path,
    root: Path,
    identify: Callable[[Path], Scan],
    label_set: str,
    table: pd.DataFrame,
    modality_of: Callable[[Scan], str] = lambda scan: "",
    **others,
) -> Layout:
    """The layout of the files that a list names, with its pairs in its order.

    Parameters
    ----------
    identify : callable
        Image file -> scan.
    label_set : str
        What to call the label maps of the list.
    table : DataFrame
        Names of their labels; restricted to the labels of the list.
    others
        Further attributes of the layout.
    """
    pairs, labels = read_pair_list(path)
    found: dict[str, Path | None] = {}
    for pair in pairs:
        for key in KEYS:
            found.setdefault(pair[key], find_again(pair[key], root))
    entries: dict[Scan, Entry] = {}
    kept = []
    for pair in pairs:
        sides = [_entry(pair, side, found, identify, label_set, modality_of) for side in PER_SIDE]
        if None in sides:
            continue
        for entry in sides:
            known = entries.setdefault(entry.scan, entry)
            if known.image != entry.image:
                raise InputError(
                    f"{path}: the scan {entry.scan.id} is {known.image} and {entry.image}; "
                    "give one list for each"
                )
            if label_set not in known.labels:
                entries[entry.scan] = replace(known, labels=entry.labels)
        kept.append(Pair(*(entry.scan for entry in sides)))
    missing = [f"{listed}: not found under {root}" for listed, file in found.items() if not file]
    return make_layout(
        name,
        root,
        entries.values(),
        {label_set: choose_labels(table, labels or table.index)},
        expected=f"the files that {path} names",
        pairs=kept,
        problems=missing,
        **others,
    )


def _entry(pair: Mapping, side: str, found: Mapping, identify, label_set, modality_of):
    image, labels = found[pair[f"{side}_img"]], found[pair[f"{side}_seg"]]
    if image is None:
        return None
    scan = identify(image)
    modality = str(pair.get(f"{side}_modality", modality_of(scan)))
    return Entry(scan, image, {label_set: labels} if labels else {}, modality)
