"""Three people with multiple sclerosis, each in T1w, T2w and FLAIR on one 1 mm grid.

Source: muschellij2/open_ms_data (Lesjak et al. 2018): co-registered within each subject and moved to MNI
space, skull-stripped, N4-corrected, lesions outlined by consensus. There are no labels of anatomy: see
:mod:`lumirage_lib.cohorts.fused`.
"""

from dataclasses import replace

import numpy as np

from ..images.volumes import Volume, load_volume, reorient
from .base import Cohort, Scan
from .fused import LABELS, People, make_cohort
from .sources import Source, fetch, get_source

REPOSITORY = "muschellij2/open_ms_data"
SCANS = tuple(Scan(id, f"MS{id}") for id in ("07", "19", "26"))
FILES = {"T1w": "T1", "T2w": "T2", "FLAIR": "FLAIR"}


def _image_source(scan: Scan, contrast: str) -> Source:
    return get_source(
        REPOSITORY,
        f"cross_sectional/MNI/patient{scan.id}/{FILES[contrast]}"
        "_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz",
    )


def _lesion_source(scan: Scan) -> Source:
    return get_source(
        REPOSITORY,
        f"cross_sectional/MNI/patient{scan.id}/"
        "GOLD_STANDARD_N4_noneck_reduced_winsor_regtoFLAIR_regtoMNI.nii.gz",
    )


def load_contrast(scan: Scan, contrast: str) -> Volume:
    """One image; the spline's ringing below zero is cut off."""
    volume = reorient(load_volume(fetch(_image_source(scan, contrast))))
    return replace(volume, data=np.maximum(volume.data, 0))


def load_lesions(scan: Scan) -> Volume:
    """Consensus lesion mask, 0 or 1."""
    return reorient(load_volume(fetch(_lesion_source(scan)), labels=True))


def _digest(scan: Scan, what: str) -> str:
    if what == LABELS:
        return _image_source(scan, "T1w").sha256 + _lesion_source(scan).sha256
    return _image_source(scan, what).sha256


PEOPLE = People(
    "openms",
    SCANS,
    tuple(FILES),
    load_contrast,
    lambda scan: load_lesions(scan).data > 0,
    _digest,
    lambda scan: [*(_image_source(scan, contrast) for contrast in FILES), _lesion_source(scan)],
    reference="lesjak2018",
    title="real T2w and FLAIR of three patients",
    limits=(
        "The labels of the three patients are automatic, made on T1w; three subjects cannot stand for "
        "a population, and the interval says so.",
    ),
)


def openms(contrast: str = "T1w", n_atlases: int = 15) -> Cohort:
    """The cohort in one contrast.

    Parameters
    ----------
    contrast : {"T1w", "T2w", "FLAIR"}
    n_atlases : int
        See :func:`lumirage_lib.cohorts.fused.make_cohort`.
    """
    return make_cohort(PEOPLE, contrast, n_atlases)
