"""One person with a chronic stroke of the left hemisphere in T1w, T2w and FLAIR on one 1 mm grid.

Source: neurolabusc/VolumeRenderingData (MIT), Center for the Study of Aphasia Recovery: 3 T, 8 bit,
co-registered and skull-stripped. The lesion is not outlined there; :func:`load_lesions` finds it.
There are no labels of anatomy: see :mod:`lumirage_lib.cohorts.fused`.
"""

import numpy as np
import scipy

from ..images.volumes import Volume, load_volume, reorient
from .base import Scan
from .fused import LABELS, People, cohort_of
from .sources import Source, fetch, get_source

FILES = {"T1w": "T1", "T2w": "T2", "FLAIR": "FLAIR"}
LESION = 1  # raised when the lesion is found otherwise
BRIGHT = 2.5  # standard deviations above the brain's median in FLAIR


def _source(contrast: str) -> Source:
    return get_source("neurolabusc/VolumeRenderingData", f"stroke/{FILES[contrast]}.nii.gz")


def load_image(scan: Scan, contrast: str) -> Volume:
    return reorient(load_volume(fetch(_source(contrast))))


def load_lesions(scan: Scan) -> np.ndarray:
    """The lesion, bool (X, Y, Z): the largest bright region of FLAIR, its cavity and a rim of 1 mm.

    Bright is what, after smoothing by 1 mm, lies `BRIGHT` robust standard deviations above the median
    of the brain's inner part; closing by 6 mm takes in the cavity, which is dark in FLAIR.
    """
    brain = load_image(scan, "T1w").data > 0
    brain = scipy.ndimage.binary_fill_holes(scipy.ndimage.binary_closing(brain, iterations=2))
    inner = scipy.ndimage.binary_erosion(brain, iterations=4)
    flair = scipy.ndimage.gaussian_filter(load_image(scan, "FLAIR").data, 1.0)
    median = np.median(flair[inner])
    spread = 1.4826 * np.median(np.abs(flair[inner] - median))
    regions, _ = scipy.ndimage.label((flair > median + BRIGHT * spread) & inner)
    largest = np.bincount(regions[regions > 0]).argmax()
    closed = scipy.ndimage.binary_closing(np.pad(regions == largest, 8), iterations=6)
    cavity = scipy.ndimage.binary_fill_holes(closed)[8:-8, 8:-8, 8:-8] & brain
    return scipy.ndimage.binary_dilation(cavity)


def _digest(scan: Scan, what: str) -> str:
    if what == LABELS:
        return f"{_source('T1w').sha256}{_source('FLAIR').sha256}{LESION}"
    return _source(what).sha256


PEOPLE = People(
    "stroke",
    (Scan("stroke", "CSTAR"),),
    tuple(FILES),
    load_image,
    load_lesions,
    _digest,
    lambda scan: [_source(contrast) for contrast in FILES],
    reference="volumerendering",
    title="real T2w and FLAIR of a person with a stroke",
    limits=(
        "One person: no pair by itself. Labels of anatomy are automatic, made on T1w, and the lesion that "
        "they leave out was found by a rule, not drawn.",
    ),
)

stroke = cohort_of(PEOPLE)
