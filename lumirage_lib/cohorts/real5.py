"""Five people in three real contrasts: three with multiple sclerosis, one healthy, one with a stroke.

The scans of `openms`, `kirby113` and `stroke` in one cohort, each on its own grid of about 1 mm: 20
ordered pairs. Keys of registrations between two of `openms` are those of that cohort.
"""

from .base import Cohort, Scan, Tools
from .fused import REGISTRARS, make_cohort
from .kirby113 import PEOPLE as KIRBY113
from .openms import PEOPLE as OPENMS
from .segmented import add_segmented
from .sources import Source
from .stroke import PEOPLE as STROKE


def real5(contrast: str = "T1w", n_atlases: int = 15, segmented: str = "T1w") -> Cohort:
    """The cohort in one contrast.

    Parameters
    ----------
    contrast : {"T1w", "T2w", "FLAIR"}
    n_atlases : int
        See :func:`lumirage_lib.cohorts.fused.make_cohort`.
    segmented : {"T1w", "contrast", ""}
        See :func:`lumirage_lib.cohorts.segmented.add_segmented`.
    """
    parts = [
        make_cohort(people, contrast, n_atlases, tuple(REGISTRARS))
        for people in (OPENMS, KIRBY113, STROKE)
    ]
    return add_segmented(join("real5", parts), "neuromorphometrics", segmented)


def join(name: str, parts: list[Cohort]) -> Cohort:
    """Cohorts of the same contrast and label sets as one; their scans have different names."""
    of = {scan: part for part in parts for scan in part.scans}
    first, aligning = parts[0], [p.aligned_by for p in parts if p.aligned_by is not None]

    def prepare(scan: Scan, tools: Tools) -> None:
        if (make := of[scan].prepare) is not None:
            make(scan, tools)

    def sources(scan: Scan) -> list[Source]:
        return of[scan].sources(scan)

    return Cohort(
        name,
        tuple(of),
        lambda scan: of[scan].load_image(scan),
        lambda scan, label_set="fused": of[scan].load_labels(scan, label_set),
        first.label_sets,
        lambda scan: of[scan].fingerprint(scan),
        first.options,
        reference=",".join(part.reference for part in parts),
        sources=sources,
        aligned_by=join(name, aligning) if aligning else None,
        prepare=prepare,
        title="real T2w and FLAIR of five people",
        contrasts=first.contrasts,
        limits=(
            "Labels of anatomy are automatic, made on T1w by two registrars. Three of the five have "
            "multiple sclerosis and one a stroke; their lesions carry no label.",
        ),
    )
