"""Thirty OASIS T1w scans of 25 subjects with manual labels (Neuromorphometrics).

Source: muschellij2/malf.templates, the data of the MICCAI 2012 multi-atlas challenge: 1 mm,
skull-stripped, 15 training scans and 15 test scans of 10 subjects, five of them scanned twice.
"""

import functools

import pandas as pd

from ..images.volumes import Volume, load_volume, reorient
from .base import DATA, Cohort, Scan
from .segmented import add_segmented
from .sources import Source, fetch, get_source

REPOSITORY = "muschellij2/malf.templates"
FILES = {"image": "SS", "manual": "glm", "tissues": "tissues"}
TISSUES = {1: "CSF", 2: "grey matter", 3: "white matter"}


def _source(scan: str, kind: str):
    return get_source(REPOSITORY, f"inst/extdata/{scan}_{FILES[kind]}.nii.gz")


@functools.cache
def manual_labels() -> pd.DataFrame:
    """Label number -> name and group, from the challenge's table."""
    return pd.read_csv(DATA / "oasis_labels.csv", index_col="label")


@functools.cache
def scans() -> tuple[Scan, ...]:
    """The 30 scans that are published, with subject and group of demographics.xlsx."""
    return tuple(
        Scan(row.id, row.subject, row.group)
        for row in pd.read_csv(DATA / "oasis_scans.csv", dtype=str).itertuples()
    )


def load_image(scan: Scan) -> Volume:
    return reorient(load_volume(fetch(_source(scan.id, "image"))))


def load_labels(scan: Scan, label_set: str = "manual") -> Volume:
    return reorient(load_volume(fetch(_source(scan.id, label_set)), labels=True))


def fingerprint(scan: Scan) -> str:
    return ".".join(_source(scan.id, kind).sha256[:16] for kind in FILES)


def list_sources(scan: Scan) -> list[Source]:
    """The public files of a scan."""
    return [_source(scan.id, kind) for kind in FILES]


def oasis(segmented: str = "T1w") -> Cohort:
    """The cohort; nothing is fetched before an image or a label map is asked for.

    Parameters
    ----------
    segmented : {"T1w", "contrast", ""}
        See :func:`lumirage_lib.cohorts.segmented.add_segmented`.
    """
    tissues = pd.DataFrame({"name": TISSUES, "group": "tissue"})
    tissues.index.name = "label"
    cohort = Cohort(
        "oasis",
        scans(),
        load_image,
        load_labels,
        {"manual": manual_labels(), "tissues": tissues},
        fingerprint,
        reference="landman2012,marcus2007",
        sources=list_sources,
        title="T1w of 25 adults with manual labels",
    )
    return add_segmented(cohort, "neuromorphometrics", segmented)
