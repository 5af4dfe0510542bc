"""Four people with multiple sclerosis as a clinic scans them: 0.5 to 0.9 mm in plane, slices of 3 to 4 mm.

Source: muschellij2/open_ms_data, longitudinal (Lesjak et al. 2016): T1w, T2w and FLAIR of one visit, raw
and defaced, with the transforms that bring them into one space, a brain mask there, and the outline of the
lesions that *changed* between two visits (others are not outlined). Images are resampled once, through
the chain of transforms, onto the grid of the mask, and masked. There are no labels of anatomy: see
:mod:`lumirage_lib.cohorts.fused`.
"""

import re
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..images.volumes import Volume, load_volume, reorient, resample
from ..images.warp import LPS
from .base import Scan
from .cache import hash_json
from .fused import LABELS, People, cohort_of
from .sources import Source, fetch, get_source

VISITS = {"01": "study1", "12": "study1", "03": "study2", "04": "study1"}
FILES = {"T1w": "T1W", "T2w": "T2W", "FLAIR": "FLAIR"}


def _source(folder: str, scan: Scan, name: str) -> Source:
    return get_source("muschellij2/open_ms_data", f"longitudinal/{folder}/patient{scan.id}/{name}")


def list_chain(scan: Scan, contrast: str) -> list[Source]:
    """The transforms from the common space to an image, in the order in which a point meets them."""
    names = ["FLAIR_to_common_space"]
    names += [] if contrast == "FLAIR" else [f"{FILES[contrast]}_intrastudy_to_FLAIR"]
    return [_source("raw", scan, f"{VISITS[scan.id]}_{name}.txt") for name in names]


def list_sources(scan: Scan, contrast: str) -> list[Source]:
    """The files an image is made from."""
    image = _source("raw", scan, f"{VISITS[scan.id]}_{FILES[contrast]}.nii.gz")
    mask = _source("coregistered", scan, "brainmask.nii.gz")
    return [image, mask, *list_chain(scan, contrast)]


def read_itk_affine(path: Path) -> np.ndarray:
    """An affine transform of ITK's text format as a matrix (4, 4) on points in mm, RAS+.

    It maps points of the space that an image is resampled to onto points of the image.

    Raises
    ------
    InputError
        The file does not hold one affine transform in three dimensions.
    """
    text = path.read_text()
    found = {}
    for key, size in (("Parameters", 12), ("FixedParameters", 3)):
        line = re.search(rf"^{key}:(.*)$", text, re.MULTILINE)
        found[key] = np.array(line[1].split() if line else [], float)
        if found[key].size != size:
            raise InputError(
                f"{path}: {found[key].size} {key}, expected {size}: one affine transform in 3-D"
            )
    matrix, centre = np.eye(4), found["FixedParameters"]
    matrix[:3, :3] = found["Parameters"][:9].reshape(3, 3)
    matrix[:3, 3] = found["Parameters"][9:] + centre - matrix[:3, :3] @ centre
    return LPS @ matrix @ LPS


def load_mask(scan: Scan, folder: str = "coregistered", name: str = "brainmask") -> Volume:
    """The brain mask, whose grid is that of all images, or another mask there; 0 or 1, RAS."""
    return reorient(load_volume(fetch(_source(folder, scan, f"{name}.nii.gz")), labels=True))


def load_image(scan: Scan, contrast: str) -> Volume:
    """One contrast, brain only, on the grid of the mask."""
    mask = load_mask(scan)
    raw = load_volume(fetch(list_sources(scan, contrast)[0]))
    to_image = np.eye(4)
    for source in list_chain(scan, contrast):
        to_image = read_itk_affine(fetch(source)) @ to_image
    there = resample(raw, to_image @ mask.affine, mask.shape)
    data = np.where(mask.data > 0, np.maximum(there.data, 0), 0).astype(np.float32)
    return Volume(data, mask.affine, f"openms-clinical {scan.id} {contrast}")


def load_lesions(scan: Scan) -> np.ndarray:
    """The lesions that changed between the two visits, bool, on the grid of the mask."""
    return load_mask(scan, "raw", "gt").data > 0


def _digest(scan: Scan, what: str) -> str:
    files = list_sources(scan, "T1w" if what == LABELS else what)
    files += [_source("raw", scan, "gt.nii.gz")] if what == LABELS else []
    return hash_json([file.sha256 for file in files])


def _all_sources(scan: Scan) -> list[Source]:
    files = [file for contrast in FILES for file in list_sources(scan, contrast)]
    return list(dict.fromkeys([*files, _source("raw", scan, "gt.nii.gz")]))


PEOPLE = People(
    "openms-clinical",
    tuple(Scan(id, f"MSL{id}") for id in VISITS),
    tuple(FILES),
    load_image,
    load_lesions,
    _digest,
    _all_sources,
    reference="lesjak2016",
    title="real T2w and FLAIR of four patients in thick slices",
    limits=(
        "Four people. Labels of anatomy are automatic, made on T1w in slices of 3 mm; only lesions that "
        "changed between two visits are left out, others count as the tissue they lie in.",
    ),
)

openms_clinical = cohort_of(PEOPLE)
