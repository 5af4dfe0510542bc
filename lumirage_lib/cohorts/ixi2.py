"""Two IXI subjects in T1w as FreeSurfer leaves them (norm, 256^3, 1 mm), with its segmentation.

Source: mattkia/SGDIR, sample data (code MIT; IXI is CC BY-SA 3.0 at its own site). T1w outside OASIS: for
the input that a network trained on IXI expects, and for how well the segmenter does.
"""

import functools

import numpy as np
import pandas as pd

from ..images.volumes import Volume, load_volume, reorient
from .base import DATA, Cohort, Scan
from .segmented import add_segmented, tissue_table
from .sources import Source, fetch, get_source

SCANS = (Scan("subj1", "IXI-1"), Scan("subj2", "IXI-2"))


def _source(scan: Scan, kind: str) -> Source:
    return get_source("mattkia/SGDIR", f"sample_data/IXI/{scan.id}/{kind}.mgz")


@functools.cache
def label_table() -> pd.DataFrame:
    """FreeSurfer's numbers of whole structures -> name and group."""
    table = pd.read_csv(DATA / "merged_labels.csv")
    table = table[table["protocol"] == "aseg"].set_index("label")
    group = table["class"].map(tissue_table()["group"]).fillna("other")
    return table.assign(group=group)[["name", "group"]]


def load_labels(scan: Scan, label_set: str = "aseg") -> Volume:
    """FreeSurfer's segmentation; 255 and the like are parts of the corpus callosum."""
    return reorient(load_volume(fetch(_source(scan, "aseg")), labels=True, dtype=np.int32))


def ixi2(segmented: str = "T1w") -> Cohort:
    """The cohort; nothing is fetched before an image or a label map is asked for.

    Parameters
    ----------
    segmented : {"T1w", "contrast", ""}
        See :func:`lumirage_lib.cohorts.segmented.add_segmented`.
    """
    cohort = Cohort(
        "ixi2",
        SCANS,
        lambda scan: reorient(load_volume(fetch(_source(scan, "norm")))),
        load_labels,
        {"aseg": label_table()},
        lambda scan: ".".join(_source(scan, kind).sha256[:16] for kind in ("norm", "aseg")),
        reference="ixi",
        sources=lambda scan: [_source(scan, kind) for kind in ("norm", "aseg")],
        title="T1w of two adults as FreeSurfer leaves them",
        limits=("Two people; FreeSurfer's labels are automatic.",),
    )
    return add_segmented(cohort, "aseg", segmented)
