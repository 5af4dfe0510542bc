"""The anatomy of another cohort in a synthesised contrast; labels and alignment stay those of it."""

from collections.abc import Callable

from ..errors import InputError
from ..images.contrast import CONTRASTS, GENERATOR, INVERTED, compute_signals, make_rng, synthesise
from ..images.volumes import Volume
from .base import Cohort, Scan
from .oasis import oasis
from .segmented import add_segmented
from .template import template

ANATOMIES: dict[str, Callable[..., Cohort]] = {"oasis": oasis, "template": template}


def synthetic(
    anatomy: str = "oasis",
    contrast: str = "T2w",
    dose: float = 1.0,
    field_t: float = 3.0,
    noise_seed: int = 0,
    **options,
) -> Cohort:
    """A cohort with tissue maps, seen through another sequence.

    Parameters
    ----------
    anatomy : {"oasis", "template"}
    contrast, dose, field_t
        See :func:`lumirage_lib.images.contrast.synthesise`.
    noise_seed : int
        Of bias field and noise, which differ between scans and contrasts but not between doses.
    options
        Of the anatomy's cohort. Its `segmented` may be "contrast": see
        :func:`lumirage_lib.cohorts.segmented.add_segmented`.
    """
    if anatomy not in ANATOMIES:
        raise InputError(f"anatomy {anatomy!r}: expected one of {', '.join(ANATOMIES)}")
    if contrast != INVERTED:
        compute_signals(contrast, field_t)  # refuses an unknown one before anything runs
    base = ANATOMIES[anatomy](**options)

    def load_image(scan: Scan) -> Volume:
        return synthesise(
            base.load_image(scan),
            base.load_labels(scan, "tissues"),
            contrast,
            rng=make_rng(noise_seed, scan.id, contrast),
            dose=dose,
            field_t=field_t,
        )

    def fingerprint(scan: Scan) -> str:
        how = f"{GENERATOR}-{contrast}-{dose:g}-{field_t:g}T-{noise_seed}"
        return f"synthetic-{how}-{base.fingerprint(scan)}"

    cohort = Cohort(
        "synthetic",
        base.scans,
        load_image,
        base.load_labels,
        base.label_sets,
        fingerprint,
        {
            "anatomy": anatomy,
            "contrast": contrast,
            "dose": dose,
            "field_t": field_t,
            "noise_seed": noise_seed,
            **options,
        },
        base.true_displacement,
        reference=base.reference,
        sources=base.sources,
        aligned_by=base,
        prepare=base.prepare,
        title="synthesised contrasts",
        contrasts=(*CONTRASTS, INVERTED),
        limits=(
            "Synthesised contrasts have the anatomy, the resolution and the labels of their T1w images; no "
            "artefact that only another sequence has (distortion, vessels, iron) is in them. Grey matter "
            "is one tissue: deep nuclei have the relaxation times of the cortex.",
            *base.limits,
        ),
        label_words=base.label_words,
    )
    if options.get("segmented") != "contrast":
        return cohort
    return add_segmented(cohort, "neuromorphometrics", "contrast")
