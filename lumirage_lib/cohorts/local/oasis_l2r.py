"""OASIS as Learn2Reg has it (neurite-OASIS): the last 20 subjects, 35 labels, from the user's folder.

Layout: ``OASIS_OAS1_XXXX_MR1/aligned_norm.nii.gz`` and ``aligned_seg35.nii.gz``, 160x192x224 in LIA;
without the affine alignment ``norm.nii.gz`` and ``seg35.nii.gz``. The pairs of the validation are
each of the last 20 subjects with the next.
"""

import itertools
from pathlib import Path
from typing import Any

import pandas as pd

from ..base import Pair, Scan
from .layout import Entry, Layout, cohort_of, find_file, find_root, make_layout
from .pairlist import layout_of_list
from .protocols import label_table

TITLE = "OASIS as Learn2Reg has it"
NAME, REFERENCE = "oasis-l2r", "hering2023,hoopes2021,marcus2007"
N_VALIDATION = 20


def _scan(folder: str) -> Scan:
    return Scan(folder, folder.removeprefix("OASIS_").rsplit("_MR", 1)[0])


def find_oasis_l2r(
    root: str = "", pairs: str = "", aligned: bool = True, n_subjects: int = N_VALIDATION
) -> Layout:
    """What there is of neurite-OASIS.

    Parameters
    ----------
    root : str
        Folder with the folders of the subjects; empty: ``LUMIRAGE_DATA_OASIS_L2R``.
    pairs : str
        A pair list of the paper's authors, instead of consecutive subjects.
    aligned : bool
        The images in the common template space, else those in scanner space.
    n_subjects : int
        How many subjects, from the last; of those in ``subjects.txt`` where it is there.
    """
    folder = find_root(NAME, root)
    table = _read_names(folder / "seg35_labels.txt", label_table("seg35"))
    others: dict[str, Any] = {"reference": REFERENCE, "title": TITLE}
    if pairs:
        identify = lambda image: _scan(image.parent.name)  # noqa: E731
        return layout_of_list(NAME, pairs, folder, identify, "seg35", table, **others)
    prefix = "aligned_" if aligned else ""
    expected = f"OASIS_OAS1_XXXX_MR1/{prefix}norm.nii.gz and {prefix}seg35.nii.gz"
    subjects = _list_subjects(folder)[-n_subjects:]
    entries, missing = [], []
    for name in subjects:
        image = find_file(folder / name, f"{prefix}norm")
        if image is None:
            missing.append(
                f"{folder / name}: no {prefix}norm.nii.gz in it; unpack the archive anew"
            )
            continue
        labels = find_file(folder / name, f"{prefix}seg35")
        entries.append(Entry(_scan(name), image, {"seg35": labels} if labels else {}))
    return make_layout(
        NAME,
        folder,
        entries,
        {"seg35": table},
        expected=expected,
        pairs=[Pair(_scan(a), _scan(b)) for a, b in itertools.pairwise(subjects)],
        problems=missing,
        **others,
    )


oasis_l2r = cohort_of(find_oasis_l2r)


def _list_subjects(folder: Path) -> list[str]:
    listed = folder / "subjects.txt"
    if listed.is_file():
        return sorted(line.strip() for line in listed.read_text().splitlines() if line.strip())
    return sorted(path.name for path in folder.glob("OASIS_OAS*") if path.is_dir())


def _read_names(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The names as the publisher's own table (number, name, colour) has them, where it is there."""
    if not path.is_file():
        return table
    rows = (line.split() for line in path.read_text().splitlines())
    named = {
        int(row[0]): row[1].replace("-", " ") for row in rows if len(row) > 1 and row[0].isdigit()
    }
    names = pd.Series(named).reindex(table.index)
    return table.assign(name=names.fillna(table["name"]))
