"""Eighteen classes of tissue for every cohort: its own labels merged to them, and a segmenter's.

What the labels of a scan are is part of the ruler. Beside the labels of its source a cohort offers

- ``NAME-18``: its first label set NAME, merged to the classes of the segmenter;
- ``seg-T1w``: what the segmenter finds on the T1w image;
- ``seg-contrast``: what it finds on the image in the cohort's own contrast, if asked for.

The option `segmented` of a cohort says which of the last two it has: a scan takes two minutes.

The first says what coarser labels do, the third against the second what the contrast does to the ruler.
The segmenter is handed in (:class:`lumirage_lib.cohorts.base.Tools`) and runs once per image and machine.
"""

import functools
import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd

from ..errors import InputError
from ..images.volumes import Volume
from .base import DATA, Cohort, Scan, Tools
from .cache import get_path, keep_arrays, load_arrays
from .sources import Source, get_source

SEGMENTATION = 1  # raised when the same image gets other labels
ON_T1W, ON_CONTRAST = "seg-T1w", "seg-contrast"
SEGMENTED = ("", "T1w", "contrast")


def segmenter_weights() -> Source:
    """brainchop's `big_robust_tissue`."""
    return get_source("neuroneural/brainchop-models", "sae/big_robust_tissue/model.pth")


@functools.cache
def tissue_table() -> pd.DataFrame:
    """The classes but for 0, "unknown": index `label` (1 to 17), columns `name` and `group`.

    Examples
    --------
    >>> tissue_table().loc[14, "name"]
    'Hippocampus'
    """
    return pd.read_csv(DATA / "tissue_labels.csv", index_col="label")


@functools.cache
def merging_table(protocol: str) -> pd.Series:
    """Class of every label of a protocol, 0 where the segmenter has none for it.

    Parameters
    ----------
    protocol : {"neuromorphometrics", "dlmuse", "aseg"}
    """
    table = pd.read_csv(DATA / "merged_labels.csv")
    known = table["protocol"].unique()
    if protocol not in known:
        raise InputError(f"protocol {protocol!r}: expected one of {', '.join(known)}")
    return table[table["protocol"] == protocol].set_index("label")["class"]


def merge_labels(labels: np.ndarray, protocol: str) -> np.ndarray:
    """A label map of that protocol in the segmenter's classes.

    Parameters
    ----------
    labels : ndarray of int, shape (X, Y, Z)
        Background is 0.
    protocol : str
        See :func:`merging_table`.

    Returns
    -------
    ndarray of int32, shape (X, Y, Z)

    Raises
    ------
    InputError
        A label that the table does not have.

    Examples
    --------
    >>> merge_labels(np.array([[[0, 47, 48, 100]]]), "neuromorphometrics")
    array([[[ 0, 14, 14,  2]]], dtype=int32)
    """
    table = merging_table(protocol)
    unknown = sorted({int(v) for v in np.unique(labels)} - {0, *table.index})
    if unknown:
        raise InputError(
            f"labels {unknown} are none of {protocol}; is the map of another protocol? "
            "Else add them to data/merged_labels.csv"
        )
    lookup = np.zeros(int(table.index.max()) + 1, np.int32)
    lookup[table.index] = table
    return np.take(lookup, labels)


def add_segmented(cohort: Cohort, protocol: str, segmented: str) -> Cohort:
    """The cohort with its 18-class label sets after its own; its fingerprints stay.

    Parameters
    ----------
    cohort : Cohort
        Its T1w images are those of ``aligned_by``, or its own.
    protocol : str
        Of the cohort's first label set; see :func:`merging_table`.
    segmented : {"T1w", "contrast", ""}
        The cohort's option of that name: whether "seg-T1w" is offered, with "seg-contrast" beside it
        where the cohort shows another contrast, or neither.

    Raises
    ------
    InputError
        Another word.
    """
    if segmented not in SEGMENTED:
        raise InputError(
            f"{cohort.name}: segmented {segmented!r}, expected one of "
            + ", ".join(map(repr, SEGMENTED))
        )
    first = next(iter(cohort.label_sets))
    images = {ON_T1W: cohort.aligned_by or cohort} if segmented else {}
    images |= {ON_CONTRAST: cohort} if segmented == "contrast" and cohort.aligned_by else {}
    merged = f"{first}-18"

    def load_labels(scan: Scan, label_set: str = first) -> Volume:
        if label_set in images:
            return load_segmentation(images[label_set], scan)
        if label_set != merged:
            return cohort.load_labels(scan, label_set)
        labels = cohort.load_labels(scan, first)
        return replace(labels, data=merge_labels(labels.data, protocol))

    def prepare(scan: Scan, tools: Tools) -> None:
        if cohort.prepare is not None:
            cohort.prepare(scan, tools)
        for shown in images.values():
            segment_scan(shown, scan, tools)

    def sources(scan: Scan) -> list[Source]:
        there = all(get_path("segmented", _name(c, scan)).exists() for c in images.values())
        return cohort.sources(scan) + ([] if there else [segmenter_weights()])

    more = dict.fromkeys([merged, *images], tissue_table())
    return replace(
        cohort,
        load_labels=load_labels,
        label_sets={**cohort.label_sets, **more},
        options={**cohort.options, "segmented": segmented},
        prepare=prepare,
        sources=sources,
    )


def segment_scan(cohort: Cohort, scan: Scan, tools: Tools) -> None:
    """Label the tissue of the scan's image in this cohort, unless that was done before."""

    def make() -> dict[str, np.ndarray]:
        image = cohort.load_image(scan)
        return {"labels": tools.segment(image).astype(np.uint8), "affine": image.affine}

    keep_arrays("segmented", _name(cohort, scan), make)


def load_segmentation(cohort: Cohort, scan: Scan) -> Volume:
    """The classes that :func:`segment_scan` found, on the grid of the image.

    Raises
    ------
    InputError
        The scan was not prepared on this machine.
    """
    found = load_arrays("segmented", _name(cohort, scan))
    name = f"{cohort.name} {scan.id} segmented"
    return Volume(found["labels"].astype(np.int32), found["affine"], name)


def _name(cohort: Cohort, scan: Scan) -> str:
    content = f"{segmenter_weights().sha256}.{cohort.fingerprint(scan)}"
    return f"{SEGMENTATION}-{hashlib.sha256(content.encode()).hexdigest()[:24]}"
