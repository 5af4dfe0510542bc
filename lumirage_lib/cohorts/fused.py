"""Labels for people whose source has none: those of OASIS atlases, registered to T1w and fused.

Contrasts of a person lie on one grid, so labels made on T1w are used unchanged on every other. They are
made twice, by an iterative and by a deep registrar: a method measured on labels that it helped to make
is measured on its own taste. Lesions carry no label.
"""

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..errors import InputError
from ..images.fusion import FUSION, carry_atlases, fuse
from ..images.volumes import Volume
from . import oasis
from .base import Cohort, Scan, Tools
from .cache import get_path, keep_arrays, load_arrays
from .segmented import add_segmented
from .sources import Source, get_source

# Label set -> the method that registers the atlases.
REGISTRARS = {"fused": "greedy", "fused-lapirn": "lapirn-disp"}
WEIGHTS = {"fused-lapirn": ("cwmok/LapIRN", "Model/LapIRN_disp_fea7.pth")}
LABELS = "labels"  # what a digest is of, beside the contrasts


@dataclass(frozen=True)
class People:
    """Scans in several contrasts without labels.

    Attributes
    ----------
    name : str
    scans : tuple of Scan
    contrasts : tuple of str
        "T1w" among them.
    load_image : callable
        ``load_image(scan, contrast) -> Volume``: brain only, canonical RAS, one grid a scan.
    load_lesions : callable
        ``load_lesions(scan) -> ndarray of bool`` on that grid: what carries no label.
    digest : callable
        ``digest(scan, contrast) -> str`` of the bytes the image is made from; of `LABELS`, of those
        that T1w and lesions are made from.
    sources : callable
        ``sources(scan) -> list of Source``.
    reference, title, limits
        See :class:`lumirage_lib.cohorts.base.Cohort`.
    """

    name: str
    scans: tuple[Scan, ...]
    contrasts: tuple[str, ...]
    load_image: Callable[[Scan, str], Volume]
    load_lesions: Callable[[Scan], np.ndarray]
    digest: Callable[[Scan, str], str]
    sources: Callable[[Scan], list[Source]]
    reference: str
    title: str
    limits: tuple[str, ...]


def get_atlases(n_atlases: int) -> list[Scan]:
    """The first `n_atlases` OASIS training scans."""
    train = [scan for scan in oasis.scans() if scan.group == "train"]
    if not 2 <= n_atlases <= len(train):
        raise InputError(f"n_atlases={n_atlases}: expected 2 to {len(train)} training scans")
    return train[:n_atlases]


def load_atlas(scan: Scan) -> tuple[Volume, list[Volume]]:
    """Image, manual labels and tissue map of an atlas, as :mod:`lumirage_lib.images.fusion` takes them."""
    maps = [oasis.load_labels(scan, kind) for kind in ("manual", "tissues")]
    return oasis.load_image(scan), maps


def make_cohort(
    people: People, contrast: str, n_atlases: int = 15, label_sets: tuple[str, ...] = ("fused",)
) -> Cohort:
    """The people in one contrast, with fused labels.

    Parameters
    ----------
    n_atlases : int
        OASIS training scans whose labels are fused.
    label_sets : tuple of str
        Keys of `REGISTRARS`, "fused" first; "tissues" come with it.
    """
    if contrast not in people.contrasts:
        known = ", ".join(people.contrasts)
        raise InputError(f"{people.name}: contrast {contrast!r}, expected one of {known}")
    atlases = get_atlases(n_atlases)

    @functools.cache
    def name_of(scan: Scan, label_set: str) -> str:
        content = people.digest(scan, LABELS) + "".join(oasis.fingerprint(s) for s in atlases)
        digest = hashlib.sha256(content.encode()).hexdigest()[:16]
        by = "" if label_set == "fused" else f"{REGISTRARS[label_set]}-"
        return f"{people.name}-{by}{FUSION}-{scan.id}-{digest}"

    def prepare(scan: Scan, tools: Tools) -> None:
        for label_set in label_sets:

            def make(method: str = REGISTRARS[label_set]) -> dict[str, np.ndarray]:
                target = people.load_image(scan, "T1w")
                images, labels = carry_atlases(
                    target,
                    [load_atlas(s) for s in atlases],
                    lambda fixed, moving: tools.register(fixed, moving, method),
                )
                healthy = ~people.load_lesions(scan)
                maps = zip(("fused", "tissues"), fuse(target, images, labels), strict=True)
                return {kind: np.where(healthy, found, 0).astype(np.int16) for kind, found in maps}

            keep_arrays("fused", name_of(scan, label_set), make)

    def load_labels(scan: Scan, label_set: str = "fused") -> Volume:
        made_by = "fused" if label_set == "tissues" else label_set
        kind = "tissues" if label_set == "tissues" else "fused"
        data = load_arrays("fused", name_of(scan, made_by))[kind].astype(np.int32)
        affine = people.load_image(scan, "T1w").affine
        return Volume(data, affine, f"{people.name} {scan.id} {label_set}")

    def sources(scan: Scan) -> list[Source]:
        todo = [kind for kind in label_sets if not get_path("fused", name_of(scan, kind)).exists()]
        needed = [s for atlas in atlases for s in oasis.list_sources(atlas)] if todo else []
        needed += [get_source(*WEIGHTS[kind]) for kind in todo if kind in WEIGHTS]
        return people.sources(scan) + needed

    tissues = pd.DataFrame({"name": oasis.TISSUES, "group": "tissue"}).rename_axis("label")
    first, *others = label_sets
    tables = {first: oasis.manual_labels(), "tissues": tissues}
    return Cohort(
        people.name,
        people.scans,
        lambda scan: people.load_image(scan, contrast),
        load_labels,
        tables | dict.fromkeys(others, oasis.manual_labels()),
        lambda scan: f"{people.digest(scan, contrast)[:16]}.{name_of(scan, 'fused')}",
        {"contrast": contrast, "n_atlases": n_atlases},
        reference=people.reference,
        sources=sources,
        aligned_by=(
            None if contrast == "T1w" else make_cohort(people, "T1w", n_atlases, label_sets)
        ),
        prepare=prepare,
        title=people.title,
        contrasts=people.contrasts,
        limits=people.limits,
    )


def cohort_of(people: People) -> Callable[..., Cohort]:
    """What makes the cohort of these people, with labels by both registrars and 18 classes."""

    def make(contrast: str = "T1w", n_atlases: int = 15, segmented: str = "T1w") -> Cohort:
        """The people in one contrast.

        Parameters
        ----------
        contrast : str
            One of those they have.
        n_atlases : int
            See :func:`lumirage_lib.cohorts.fused.make_cohort`.
        segmented : {"T1w", "contrast", ""}
            See :func:`lumirage_lib.cohorts.segmented.add_segmented`.
        """
        cohort = make_cohort(people, contrast, n_atlases, tuple(REGISTRARS))
        return add_segmented(cohort, "neuromorphometrics", segmented)

    return make
