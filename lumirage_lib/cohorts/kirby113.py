"""One healthy adult in T1w, T2w and FLAIR on one grid of 1.2 x 1 x 1 mm.

Source: muschellij2/Neurohacking_data, second visit of subject 113 of the Kirby 21 reproducibility study
(Landman et al. 2011): co-registered, inhomogeneity corrected and skull-stripped by the repository. No
licence is stated there. There are no labels of anatomy: see :mod:`lumirage_lib.cohorts.fused`.
"""

from dataclasses import replace

import numpy as np

from ..images.volumes import Volume, load_volume, reorient
from .base import Scan
from .fused import LABELS, People, cohort_of
from .sources import Source, fetch, get_source

REPOSITORY = "muschellij2/Neurohacking_data"
FILES = {"T1w": "MPRAGE", "T2w": "T2w", "FLAIR": "FLAIR"}


def _source(contrast: str) -> Source:
    return get_source(
        REPOSITORY, f"kirby21/visit_2/113/113-02-{FILES[contrast]}_processed_reg.nii.gz"
    )


def load_image(scan: Scan, contrast: str) -> Volume:
    """One image; what resampling left below zero is cut off."""
    volume = reorient(load_volume(fetch(_source(contrast))))
    return replace(volume, data=np.maximum(volume.data, 0))


PEOPLE = People(
    "kirby113",
    (Scan("kirby113", "KKI113"),),
    tuple(FILES),
    load_image,
    lambda scan: np.zeros(load_image(scan, "T1w").shape, bool),
    lambda scan, what: _source("T1w" if what == LABELS else what).sha256,
    lambda scan: [_source(contrast) for contrast in FILES],
    reference="landman2011",
    title="real T2w and FLAIR of a healthy adult",
    limits=("One person: no pair by itself. Labels of anatomy are automatic, made on T1w.",),
)

kirby113 = cohort_of(PEOPLE)
