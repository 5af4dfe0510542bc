"""Whether a network has seen the images that it is tested on.

What a network learned from is declared with its weights (:class:`Training`), by the citation keys of
public data sets; a cohort names its own by `reference`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..cohorts import Cohort
from .base import EXPOSURES
from .display import split_method


@dataclass(frozen=True)
class Exposure:
    """One of :data:`EXPOSURES`, and how that is known."""

    word: str
    evidence: str


def judge_exposure(method: str, cohort: Cohort) -> Exposure:
    """Whether images of a cohort were among those that a method has learned from.

    Generated and synthesised images count as those they were made from. Of several data sets the worst
    counts.

    Raises
    ------
    InputError
        There is no such method here.
    """
    from . import get_method

    spec = get_method(split_method(method)[0])
    if spec.training is None:
        if spec.family == "deep":
            return Exposure("unknown", "nothing is declared of what it was trained on")
        return Exposure("not seen", "it learns from no images")
    word = judge(spec.training.datasets, cohort.reference.split(","), spec.training.complete)
    if cohort.name in spec.training.unseen:
        word = "not seen"
    return Exposure(word, spec.training.evidence)


def judge(datasets: Mapping[str, str], tested: Iterable[str], complete: bool) -> str:
    """The worst word among the data sets tested; those not named are "not seen" if all were named."""
    other = "not seen" if complete else "unknown"
    words = [datasets.get(key, other) if key else "unknown" for key in tested]
    return min(words, key=EXPOSURES.index, default="unknown")
