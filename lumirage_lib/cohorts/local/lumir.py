"""LUMIR: the validation pairs of Learn2Reg 2024 with SynthSeg labels, from the user's folder.

Layout: ``LUMIR_dataset.json`` names the pairs; images in ``imagesVal/``, 160x224x192 at 1 mm; label
maps, which SynthSeg makes of them, in ``synthsegVal/LUMIRMRI_XXXX_0000_synthseg.nii.gz``.
"""

from pathlib import Path

from ...errors import InputError
from ..base import Pair, Scan
from ..learn2reg import load_cases
from .layout import Entry, Layout, cohort_of, find_file, find_root, make_layout, stem
from .pairlist import layout_of_list
from .protocols import label_table

TITLE = "the validation pairs of LUMIR"
NAME, REFERENCE = "lumir", "chen2025lumir"
EXPECTED = (
    "LUMIR_dataset.json, imagesVal/LUMIRMRI_XXXX_0000.nii.gz and "
    "synthsegVal/LUMIRMRI_XXXX_0000_synthseg.nii.gz"
)


def _identify(image: Path) -> Scan:
    name = stem(image)
    return Scan(name, name.removesuffix("_0000"))


def find_lumir(root: str = "", pairs: str = "") -> Layout:
    """What there is of LUMIR.

    Parameters
    ----------
    root : str
        Folder with ``LUMIR_dataset.json``; empty: ``LUMIRAGE_DATA_LUMIR``.
    pairs : str
        A pair list of the paper's authors, instead of the pairs of the JSON.
    """
    folder, table = find_root(NAME, root), label_table("synthseg")
    if pairs:
        return layout_of_list(
            NAME, pairs, folder, _identify, "synthseg", table, reference=REFERENCE, title=TITLE
        )
    tasks = sorted(folder.glob("LUMIR*_dataset.json"))
    if not tasks:
        raise InputError(f"{NAME}: no LUMIR_dataset.json in {folder}; expected {EXPECTED}")
    cases, _ = load_cases(tasks[0])
    images = dict.fromkeys(path for case in cases for path in (case.fixed, case.moving))
    entries, missing = [], []
    for image in images:
        if not image.is_file():
            missing.append(f"{image}: named in {tasks[0].name} and not there; download it")
            continue
        labels = find_file(folder / "synthsegVal", f"{stem(image)}_synthseg")
        entries.append(Entry(_identify(image), image, {"synthseg": labels} if labels else {}))
    return make_layout(
        NAME,
        folder,
        entries,
        {"synthseg": table},
        expected=EXPECTED,
        pairs=[Pair(_identify(case.fixed), _identify(case.moving)) for case in cases],
        problems=missing,
        reference=REFERENCE,
        title=TITLE,
    )


lumir = cohort_of(find_lumir)
