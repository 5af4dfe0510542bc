"""Eighteen older adults in T1w and thick-slice FLAIR, whole head, resampled to 2 mm by their source.

Source: CBICA/NiChart_Project, demonstration data, with the segmentation by DLMUSE (Bashyam et al.
2025), whose numbers are those of the Neuromorphometrics protocol but for the parts of white matter.
Labels are automatic and drawn on T1w. The images keep their skulls and
their own grids: here both are masked by the labels, holes and sulci closed, and FLAIR is moved rigidly
onto T1w first, which :func:`check_alignment` measures.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from ..errors import InputError
from ..images.volumes import Volume, load_volume, reorient
from .base import Cohort, Scan
from .cache import keep_arrays
from .sources import Source, fetch, find_sources, get_source

REPOSITORY = "CBICA/NiChart_Project"
FOLDER = "sample_datasets/demo_dataset"
FILES = {
    "T1w": "t1/{}_T1.nii.gz",
    "FLAIR": "fl/{}_FL.nii.gz",
    "labels": "dlmuse_seg/{}_T1_DLMUSE.nii.gz",
}
ALIGNMENT = 1  # raised when FLAIR comes onto T1w otherwise


def _source(scan: Scan, kind: str) -> Source:
    return get_source(REPOSITORY, f"{FOLDER}/{FILES[kind].format(scan.id)}")


@functools.cache
def scans() -> tuple[Scan, ...]:
    """The 18 subjects, in the order of their numbers."""
    files = find_sources(REPOSITORY, f"{FOLDER}/t1")
    ids = [s.path.rsplit("/", 1)[1].split("_")[0] for s in files]
    return tuple(Scan(id, id) for id in sorted(ids, key=lambda id: int(id.removeprefix("Subj"))))


@functools.cache
def label_table() -> pd.DataFrame:
    """Label -> name and group."""
    path = Path(__file__).parents[1] / "data" / "dlmuse_labels.csv"
    return pd.read_csv(path, index_col="label")


def load_head(scan: Scan, kind: str) -> Volume:
    """T1w or FLAIR as published, or the labels, in RAS on their own grid."""
    return reorient(load_volume(fetch(_source(scan, kind)), labels=kind == "labels"))


def make_mask(labels: np.ndarray) -> np.ndarray:
    """Brain with its sulci: the labels closed by two voxels (4 mm) and their holes filled."""
    padded = np.pad(labels > 0, 3)
    closed = ndimage.binary_closing(padded, iterations=2)
    return ndimage.binary_fill_holes(closed)[3:-3, 3:-3, 3:-3]


def compute_mutual_information(a: np.ndarray, b: np.ndarray, n_bins: int = 32) -> float:
    """Mutual information of two images in nats, by their joint histogram (1st to 99th percentile).

    Raises
    ------
    InputError
        Fewer than two voxels.
    """
    if a.size < 2 or a.size != b.size:
        raise InputError(f"mutual information of {a.size} and {b.size} voxels; expected the same")
    edges = [np.clip(v, *np.percentile(v, [1, 99])) for v in (a.ravel(), b.ravel())]
    joint, _, _ = np.histogram2d(*edges, bins=n_bins)
    joint /= joint.sum()
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / apart[seen])).sum())


def _onto(target: Volume, moving: Volume, matrix: np.ndarray) -> np.ndarray:
    return ndimage.affine_transform(
        moving.data, matrix[:3, :3], matrix[:3, 3], target.shape, np.float32, order=1
    )


def align_flair(scan: Scan) -> dict[str, np.ndarray]:
    """FLAIR on the grid of T1w, and how well it lies there before and after; kept in the cache.

    Returns
    -------
    dict
        flair (X, Y, Z); matrix (4, 4), voxels of T1w -> voxels of FLAIR; before, after: mutual
        information with T1w inside the brain; shift_mm: mean distance that the rigid registration
        moved the voxels of the brain.
    """

    def make() -> dict[str, np.ndarray]:
        from ..images.linear import align

        t1, flair = (load_head(scan, kind) for kind in ("T1w", "FLAIR"))
        brain = make_mask(load_head(scan, "labels").data)
        header = np.linalg.inv(flair.affine) @ t1.affine
        matrix = align(t1, flair, "rigid")
        moved = {"before": _onto(t1, flair, header), "after": _onto(t1, flair, matrix)}
        values = {
            name: compute_mutual_information(t1.data[brain], image[brain])
            for name, image in moved.items()
        }
        points = np.stack([*np.nonzero(brain), np.ones(brain.sum())])
        step = (flair.affine @ (matrix - header) @ points)[:3]
        shift = np.linalg.norm(step, axis=0).mean()
        flair_on_t1 = np.maximum(moved["after"], 0)
        return {"flair": flair_on_t1, "matrix": matrix, "shift_mm": shift, **values}

    digests = "-".join(_source(scan, kind).sha256[:12] for kind in FILES)
    return keep_arrays("nichart", f"flair-{ALIGNMENT}-{digests}", make)


def check_alignment(ids=None) -> pd.DataFrame:
    """Mutual information of FLAIR and T1w inside the brain before and after the rigid registration.

    Returns
    -------
    DataFrame
        scan, before, after (nats), shift_mm.
    """
    chosen = [s for s in scans() if ids is None or s.id in ids]
    rows = []
    for scan in chosen:
        found = align_flair(scan)
        values = {name: float(found[name]) for name in ("before", "after", "shift_mm")}
        rows.append({"scan": scan.id, **values})
    return pd.DataFrame(rows)


def load_contrast(scan: Scan, contrast: str) -> Volume:
    """T1w or FLAIR, brain only, on the grid of T1w."""
    t1 = load_head(scan, "T1w")
    image = t1.data if contrast == "T1w" else align_flair(scan)["flair"]
    mask = make_mask(load_head(scan, "labels").data)
    return replace(t1, data=np.where(mask, image, 0).astype(np.float32))


def nichart(contrast: str = "T1w") -> Cohort:
    """The cohort in one contrast.

    Parameters
    ----------
    contrast : {"T1w", "FLAIR"}
    """
    if contrast not in ("T1w", "FLAIR"):
        raise InputError(f"nichart: contrast {contrast!r}, expected T1w or FLAIR")
    flair = contrast == "FLAIR"

    def fingerprint(scan: Scan) -> str:
        digests = ".".join(_source(scan, kind).sha256[:16] for kind in ("T1w", "labels"))
        if not flair:
            return digests
        return f"flair-{ALIGNMENT}-{_source(scan, 'FLAIR').sha256[:16]}.{digests}"

    return Cohort(
        "nichart",
        scans(),
        lambda scan: load_contrast(scan, contrast),
        lambda scan, label_set="dlmuse": load_head(scan, "labels"),
        {"dlmuse": label_table()},
        fingerprint,
        {"contrast": contrast},
        reference="bashyam2025",
        sources=lambda scan: [_source(scan, kind) for kind in FILES],
        aligned_by=nichart("T1w") if flair else None,
        prepare=align_flair if flair else None,
    )
