"""Three people with multiple sclerosis, each in T1w, T2w and FLAIR on one 1 mm grid.

Source: muschellij2/open_ms_data (Lesjak et al. 2018): co-registered within each subject and moved to MNI
space, skull-stripped, N4-corrected, lesions outlined by consensus. There are no labels of anatomy: they
are derived on T1w by joint fusion of the OASIS training atlases and used unchanged on T2w and FLAIR, so
all contrasts of a pair are measured on the same structures. Lesions carry no label.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd

from ..errors import InputError
from ..images.fusion import FUSION, carry_atlases, fuse
from ..images.volumes import Volume, load_volume, reorient
from .base import Cohort, Scan, Tools
from .cache import get_path, keep_arrays, load_arrays
from .oasis import TISSUES, list_sources, manual_labels
from .oasis import fingerprint as fingerprint_atlas
from .oasis import load_image as load_atlas_image
from .oasis import load_labels as load_atlas_labels
from .oasis import scans as list_atlases
from .sources import Source, fetch, get_source

REPOSITORY = "muschellij2/open_ms_data"
PATIENTS = ("07", "19", "26")
FILES = {"T1w": "T1", "T2w": "T2", "FLAIR": "FLAIR"}


def _image_source(scan: Scan, contrast: str) -> Source:
    name = f"{FILES[contrast]}_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz"
    return get_source(REPOSITORY, f"cross_sectional/MNI/patient{scan.id}/{name}")


def _lesion_source(scan: Scan) -> Source:
    name = "GOLD_STANDARD_N4_noneck_reduced_winsor_regtoFLAIR_regtoMNI.nii.gz"
    return get_source(REPOSITORY, f"cross_sectional/MNI/patient{scan.id}/{name}")


def load_contrast(scan: Scan, contrast: str) -> Volume:
    """One image; the spline's ringing below zero is cut off."""
    volume = reorient(load_volume(fetch(_image_source(scan, contrast))))
    return replace(volume, data=np.maximum(volume.data, 0))


def load_lesions(scan: Scan) -> Volume:
    """Consensus lesion mask, 0 or 1."""
    return reorient(load_volume(fetch(_lesion_source(scan)), labels=True))


def get_atlases(n_atlases: int) -> list[Scan]:
    """The first `n_atlases` OASIS training scans."""
    train = [scan for scan in list_atlases() if scan.group == "train"]
    if not 2 <= n_atlases <= len(train):
        raise InputError(f"n_atlases={n_atlases}: expected 2 to {len(train)} training scans")
    return train[:n_atlases]


def load_atlas(scan: Scan) -> tuple[Volume, list[Volume]]:
    """Image, manual labels and tissue map of an atlas, as :mod:`lumirage_lib.images.fusion` takes them."""
    maps = [load_atlas_labels(scan, kind) for kind in ("manual", "tissues")]
    return load_atlas_image(scan), maps


@functools.cache
def _fusion_name(scan: Scan, n_atlases: int, fused_by: str) -> str:
    files = [_image_source(scan, "T1w").sha256, _lesion_source(scan).sha256]
    content = "".join([*files, *(fingerprint_atlas(s) for s in get_atlases(n_atlases))])
    by = "" if fused_by == "greedy" else f"{fused_by}-"
    return f"openms-{by}{FUSION}-{scan.id}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def fuse_labels(scan: Scan, n_atlases: int, fused_by: str, tools: Tools) -> dict[str, np.ndarray]:
    """Label maps "fused" and "tissues" of a scan, from the cache or made in a few minutes."""

    def make() -> dict[str, np.ndarray]:
        target = load_contrast(scan, "T1w")
        images, labels = carry_atlases(
            target,
            [load_atlas(s) for s in get_atlases(n_atlases)],
            lambda fixed, moving: tools.register(fixed, moving, fused_by),
        )
        fused = fuse(target, images, labels)
        healthy = load_lesions(scan).data == 0
        return {
            name: np.where(healthy, found, 0).astype(np.int16)
            for name, found in zip(("fused", "tissues"), fused, strict=True)
        }

    return keep_arrays("fused", _fusion_name(scan, n_atlases, fused_by), make)


def openms(contrast: str = "T1w", n_atlases: int = 15, fused_by: str = "greedy") -> Cohort:
    """The cohort in one contrast.

    Parameters
    ----------
    contrast : {"T1w", "T2w", "FLAIR"}
    n_atlases : int
        OASIS training scans whose labels are fused.
    fused_by : str
        The method that registers them.
    """
    if contrast not in FILES:
        raise InputError(f"openms: contrast {contrast!r}, expected one of {', '.join(FILES)}")
    atlases = get_atlases(n_atlases)
    scans = tuple(Scan(id, f"MS{id}") for id in PATIENTS)

    def load_labels(scan: Scan, label_set: str = "fused") -> Volume:
        data = load_arrays("fused", _fusion_name(scan, n_atlases, fused_by))[label_set].astype(
            np.int32
        )
        return Volume(data, load_contrast(scan, "T1w").affine, f"openms {scan.id} {label_set}")

    def sources(scan: Scan) -> list[Source]:
        files = [_image_source(scan, c) for c in FILES] + [_lesion_source(scan)]
        if get_path("fused", _fusion_name(scan, n_atlases, fused_by)).exists():
            return files
        return files + [s for atlas in atlases for s in list_sources(atlas)]

    tissues = pd.DataFrame({"name": TISSUES, "group": "tissue"}).rename_axis("label")
    return Cohort(
        "openms",
        scans,
        lambda scan: load_contrast(scan, contrast),
        load_labels,
        {"fused": manual_labels(), "tissues": tissues},
        lambda scan: (
            f"{_image_source(scan, contrast).sha256[:16]}.{_fusion_name(scan, n_atlases, fused_by)}"
        ),
        {"contrast": contrast, "n_atlases": n_atlases, "fused_by": fused_by},
        reference="lesjak2018",
        sources=sources,
        aligned_by=None if contrast == "T1w" else openms("T1w", n_atlases, fused_by),
        prepare=lambda scan, tools: fuse_labels(scan, n_atlases, fused_by, tools),
        title="real T2w and FLAIR of three patients",
        contrasts=tuple(FILES),
        limits=(
            "The labels of the three patients are automatic, made on T1w; three subjects cannot stand for "
            "a population, and the interval says so.",
        ),
    )
