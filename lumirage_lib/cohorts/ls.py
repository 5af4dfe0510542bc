"""Two people in T1w and T2*-weighted EPI on one 2 mm grid: the only real T2* found, so shown, never judged.

Source: stnava/structuralFunctionalJointRegistration (Apache-2.0), `features`: pilot scans of the Human
Connectome Project Lifespan, EPI corrected for distortion and T1w brought onto it, with brain masks. There
are no labels of anatomy: see :mod:`lumirage_lib.cohorts.fused`.
"""

import numpy as np

from ..images.volumes import Volume, load_volume, reorient
from .base import Scan
from .cache import hash_json
from .fused import LABELS, People, cohort_of
from .sources import Source, fetch, get_source

FILES = {"T1w": "t1ToBold", "T2*w": "undistort"}


def _source(scan: Scan, kind: str) -> Source:
    return get_source(
        "stnava/structuralFunctionalJointRegistration",
        f"features/{scan.id}_{FILES.get(kind, kind)}.nii.gz",
    )


def load_image(scan: Scan, contrast: str) -> Volume:
    """One contrast inside the brain mask; what resampling left below zero is cut off."""
    image, mask = (reorient(load_volume(fetch(_source(scan, k)))) for k in (contrast, "mask"))
    data = np.where(mask.data > 0.5, np.maximum(image.data, 0), 0).astype(np.float32)
    return Volume(data, image.affine, f"ls {scan.id} {contrast}")


def _digest(scan: Scan, what: str) -> str:
    kinds = ("T1w" if what == LABELS else what, "mask")
    return hash_json([_source(scan, kind).sha256 for kind in kinds])


PEOPLE = People(
    "ls",
    (Scan("LS2001", "LS2001"), Scan("LS3026", "LS3026")),
    tuple(FILES),
    load_image,
    lambda scan: np.zeros(load_image(scan, "T1w").shape, bool),
    _digest,
    lambda scan: [_source(scan, kind) for kind in (*FILES, "mask")],
    reference="stnavafeatures",
    title="real T2*-weighted EPI of two adults",
    limits=(
        "Two people: shown and described, never judged. EPI at 2 mm keeps some of its distortion, and "
        "the labels are automatic, made on T1w.",
    ),
)

ls = cohort_of(PEOPLE)
