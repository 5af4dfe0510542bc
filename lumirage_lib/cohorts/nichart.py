"""Eighteen older adults in T1w and thick-slice FLAIR, whole head, resampled to 2 mm by their source.

Source: CBICA/NiChart_Project, demonstration data, with the segmentation by DLMUSE (Bashyam et al.
2025), whose numbers are those of the Neuromorphometrics protocol but for the parts of white matter.
Labels are automatic and drawn on T1w. The images keep their skulls and
their own grids: here both are masked by the labels, holes and sulci closed, and FLAIR is moved rigidly
onto T1w first, which :func:`check_alignment` measures.

How thick the slices of FLAIR were can be read off the files: the source put them on its 2 mm grid by
nearest neighbour, so that planes repeat in runs of 2, 3, 2, 3, … voxels, 35 of them in 174 mm, whose
centres lie 5 mm apart (:func:`find_slices`). T1w has no repeated plane. "T1w thick" is T1w seen through
the same slices and brought back the same way: what FLAIR differs in besides its contrast.
"""

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import scipy

from ..errors import InputError
from ..images.volumes import Volume, load_volume, reorient
from .base import Cohort, Scan
from .cache import keep_arrays
from .segmented import add_segmented
from .sources import Source, fetch, find_sources, get_source

REPOSITORY = "CBICA/NiChart_Project"
FOLDER = "sample_datasets/demo_dataset"
FILES = {
    "T1w": "t1/{}_T1.nii.gz",
    "FLAIR": "fl/{}_FL.nii.gz",
    "labels": "dlmuse_seg/{}_T1_DLMUSE.nii.gz",
}
ALIGNMENT = 1  # raised when FLAIR comes onto T1w otherwise
THICKENING = 1  # raised when T1w is thickened otherwise
CONTRASTS = ("T1w", "T1w thick", "FLAIR")
SAMPLES = 10  # points across a slice whose mean stands for it, 0.5 mm apart


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
    return pd.read_csv(Path(__file__).parents[1] / "data" / "dlmuse_labels.csv", index_col="label")


def load_head(scan: Scan, kind: str) -> Volume:
    """T1w or FLAIR as published, or the labels, in RAS on their own grid."""
    return reorient(load_volume(fetch(_source(scan, kind)), labels=kind == "labels"))


def make_mask(labels: np.ndarray) -> np.ndarray:
    """Brain with its sulci: the labels closed by two voxels (4 mm) and their holes filled."""
    padded = np.pad(labels > 0, 3)
    closed = scipy.ndimage.binary_closing(padded, iterations=2)
    return scipy.ndimage.binary_fill_holes(closed)[3:-3, 3:-3, 3:-3]


def compute_mutual_information(a: np.ndarray, b: np.ndarray, n_bins: int = 32) -> float:
    """Mutual information of two images in nats, by their joint histogram (1st to 99th percentile).

    Raises
    ------
    InputError
        Fewer than two voxels.
    """
    if a.size < 2 or a.size != b.size:
        raise InputError(f"mutual information of {a.size} and {b.size} voxels; expected the same")
    first, second = (np.clip(v, *np.percentile(v, [1, 99])) for v in (a.ravel(), b.ravel()))
    joint, _, _ = np.histogram2d(first, second, bins=n_bins)
    joint /= joint.sum()
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / apart[seen])).sum())


def _onto(target: Volume, moving: Volume, matrix: np.ndarray) -> np.ndarray:
    return scipy.ndimage.affine_transform(
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

    return keep_arrays("nichart", f"flair-{ALIGNMENT}-{_digests(scan)}", make)


def find_slices(image: np.ndarray) -> tuple[int, np.ndarray]:
    """The slices that were acquired, where planes of an image repeat because it was put on a finer grid.

    Parameters
    ----------
    image : ndarray, shape (X, Y, Z)
        Resampled by nearest neighbour.

    Returns
    -------
    axis : int
        Along which the slices lie.
    number : ndarray of int
        For every plane along that axis the number of its slice, from 0.

    Raises
    ------
    InputError
        No plane repeats along any axis, or planes repeat along more than one.

    Examples
    --------
    >>> image = np.arange(24.0).reshape(2, 4, 3)[:, [0, 0, 1, 1, 1, 2, 2]]
    >>> find_slices(image)
    (1, array([0, 0, 1, 1, 1, 2, 2]))
    """
    found = {}
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        new = (np.diff(image, axis=axis) != 0).any(axis=others)
        if not new.all():
            found[axis] = np.concatenate([[0], np.cumsum(new)])
    if len(found) != 1:
        raise InputError(
            f"planes repeat along {len(found)} axes of the image; expected one, as thick slices leave "
            "it that were put on a finer grid by nearest neighbour"
        )
    return next(iter(found.items()))


def thicken_like(image: np.ndarray, acquired: np.ndarray) -> np.ndarray:
    """An image seen through the thick slices of another on the same grid.

    Every slice is the mean over its thickness, the distance between the middles of two, about the middle
    of its run of planes; as in the other image, all planes of the run get it.

    Parameters
    ----------
    image, acquired : ndarray, shape (X, Y, Z)
        What is to be thickened, and what has the slices, see :func:`find_slices`.
    """
    axis, number = find_slices(acquired)
    counts = np.bincount(number)
    middles = np.bincount(number, np.arange(len(number))) / counts
    # A run that the edge of the grid cuts has its middle elsewhere: the inner ones say how far apart.
    apart = float(np.polyfit(np.arange(1, len(middles) - 1), middles[1:-1], 1)[0])
    across = ((np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5) * apart
    where = (middles[:, None] + across).ravel()
    planes = np.moveaxis(image, axis, 0)
    low = np.clip(np.floor(where).astype(int), 0, len(planes) - 2)
    share = np.clip(where - low, 0, 1).astype(np.float32)[:, None, None]
    fine = planes[low] * (1 - share) + planes[low + 1] * share
    slices = fine.reshape(len(middles), SAMPLES, *planes.shape[1:]).mean(axis=1)
    return np.moveaxis(slices[number], 0, axis).astype(np.float32)


def thicken_t1(scan: Scan) -> dict[str, np.ndarray]:
    """T1w through the slices of the subject's FLAIR, on the grid of T1w; kept in the cache.

    T1w is put on the grid of FLAIR by cubic splines, which leave it sharp, thickened there, and comes
    back by the same matrix and the same linear interpolation as FLAIR.

    Returns
    -------
    dict
        image (X, Y, Z).
    """

    def make() -> dict[str, np.ndarray]:
        t1, flair = (load_head(scan, kind) for kind in ("T1w", "FLAIR"))
        matrix = align_flair(scan)["matrix"]
        back = np.linalg.inv(matrix)
        there = scipy.ndimage.affine_transform(
            t1.data, back[:3, :3], back[:3, 3], flair.shape, np.float32, order=3
        )
        thick = replace(flair, data=thicken_like(there, flair.data))
        return {"image": np.maximum(_onto(t1, thick, matrix), 0)}

    return keep_arrays("nichart", f"thick-{THICKENING}-{ALIGNMENT}-{_digests(scan)}", make)


def _digests(scan: Scan) -> str:
    return "-".join(_source(scan, kind).sha256[:12] for kind in FILES)


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
    """T1w, thickened T1w or FLAIR, brain only, on the grid of T1w."""
    t1 = load_head(scan, "T1w")
    if contrast == "T1w":
        image = t1.data
    else:
        image = thicken_t1(scan)["image"] if contrast == "T1w thick" else align_flair(scan)["flair"]
    mask = make_mask(load_head(scan, "labels").data)
    return replace(t1, data=np.where(mask, image, 0).astype(np.float32))


def nichart(contrast: str = "T1w", segmented: str = "T1w") -> Cohort:
    """The cohort in one contrast.

    Parameters
    ----------
    contrast : {"T1w", "T1w thick", "FLAIR"}
        "T1w thick" has the slices of FLAIR and is the reference for it: what is lost from one to the
        other is not resolution.
    segmented : {"T1w", "contrast", ""}
        See :func:`lumirage_lib.cohorts.segmented.add_segmented`.
    """
    if contrast not in CONTRASTS:
        raise InputError(f"nichart: contrast {contrast!r}, expected one of {', '.join(CONTRASTS)}")
    make = {"T1w thick": thicken_t1, "FLAIR": align_flair}.get(contrast)
    made = {"T1w thick": f"thick-{THICKENING}-{ALIGNMENT}", "FLAIR": f"flair-{ALIGNMENT}"}

    def fingerprint(scan: Scan) -> str:
        digests = ".".join(_source(scan, kind).sha256[:16] for kind in ("T1w", "labels"))
        if contrast == "T1w":
            return digests
        return f"{made[contrast]}-{_source(scan, 'FLAIR').sha256[:16]}.{digests}"

    cohort = Cohort(
        "nichart",
        scans(),
        lambda scan: load_contrast(scan, contrast),
        lambda scan, label_set="dlmuse": load_head(scan, "labels"),
        {"dlmuse": label_table()},
        fingerprint,
        {"contrast": contrast},
        reference="bashyam2025",
        sources=lambda scan: [_source(scan, kind) for kind in FILES],
        aligned_by=None if contrast == "T1w" else nichart("T1w"),
        prepare=None if make is None else lambda scan, tools: make(scan),
        title="real FLAIR of eighteen older adults",
        contrasts=CONTRASTS,
        limits=(
            "DLMUSE drew the labels on T1w, and FLAIR was acquired in 5 mm slices before its source put "
            "it on 2 mm: against T1w seen through the same slices only the contrast differs.",
        ),
    )
    return add_segmented(cohort, "dlmuse", segmented)
