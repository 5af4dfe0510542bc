"""One registration to do, and the key under which its result is found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from typing import Any

from ..cohorts import Cohort, Pair, get_cohort
from ..errors import InputError
from ..files import hash_of
from ..images.preprocess import STANDARD, Preprocessing
from ..methods import get_method
from ..methods.base import InputSpec

ALIGNMENT = 1  # raised when the shared linear alignment changes


@dataclass(frozen=True)
class Task:
    """One registration to do: everything that determines its result, by name.

    `cohort_options` and `parameters` are sorted tuples of items so that a task can be hashed;
    `parameters` holds only what differs from the method's defaults.
    """

    cohort: str
    cohort_options: tuple[tuple[str, Any], ...]
    pair: Pair
    method: str
    parameters: tuple[tuple[str, Any], ...] = ()
    preprocessing: Preprocessing = STANDARD

    def get_cohort(self) -> Cohort:
        return get_cohort(self.cohort, **dict(self.cohort_options))

    def full_parameters(self) -> dict[str, Any]:
        """The method's defaults with the task's own on top."""
        given = {k: list(v) if isinstance(v, tuple) else v for k, v in self.parameters}
        return get_method(self.method).with_parameters(given)

    @cached_property
    def images(self) -> list[str]:
        """Fingerprints of the fixed and of the moving scan."""
        return _fingerprints(self.get_cohort(), self.pair)

    @cached_property
    def alignment_key(self) -> str:
        """Hash of the pair and the kind of alignment; one for all contrasts of a pair."""
        images = _fingerprints(aligning(self.get_cohort()), self.pair)
        return hash_of(["alignment", ALIGNMENT, images, self.preprocessing.alignment])

    @cached_property
    def key(self) -> str:
        """Hash of pair, preprocessing, method, parameters, version and weights."""
        spec = get_method(self.method)
        return hash_of(
            {
                "images": self.images,
                "preprocessing": self.preprocessing.content,
                "alignment": ALIGNMENT,
                "method": spec.id,
                "input": _describe(spec.input),
                "parameters": self.full_parameters(),
                "version": spec.version,
                "weights": spec.weights.sha256 if spec.weights else None,
            }
        )


@cache
def _describe(given: InputSpec) -> dict[str, Any]:
    """What is None is not said, so that a new field leaves old results valid."""
    return {k: v for k, v in asdict(given).items() if v is not None}


def _fingerprints(cohort: Cohort, pair: Pair) -> list[str]:
    return [cohort.fingerprint(pair.fixed), cohort.fingerprint(pair.moving)]


def aligning(cohort: Cohort) -> Cohort:
    """The cohort in the contrast that the shared alignment is estimated on."""
    return cohort.aligned_by or cohort


def plan(
    cohort: str,
    pairs: Iterable[Pair],
    methods: Sequence[str] | Mapping[str, Mapping[str, Any]],
    *,
    cohort_options: Mapping[str, Any] | None = None,
    preprocessing: Sequence[Preprocessing] = (STANDARD,),
    limits: Mapping[str, int] | None = None,
) -> list[Task]:
    """Every registration of an experiment, pair by pair.

    Parameters
    ----------
    methods : names, or mapping of name to parameters that differ from the defaults
    limits : mapping, optional
        Method -> number of pairs (the first ones), for methods too slow for all.

    Raises
    ------
    InputError
        A method or parameter that there is not, or a limit for a method that is not asked for.
    """
    if odd := [name for name in methods if not isinstance(name, str)]:
        raise InputError(f"methods: expected names, got {odd[0]!r}")
    methods = methods if isinstance(methods, Mapping) else {m: {} for m in methods}
    options = tuple(sorted((cohort_options or {}).items()))
    limits = limits or {}
    for name in limits:
        if name not in methods:
            raise InputError(f"limit for {name!r}, which is not among the methods {list(methods)}")
        if not isinstance(limits[name], int) or limits[name] < 0:
            raise InputError(
                f"limit for {name!r}: expected a number of pairs, got {limits[name]!r}"
            )
    tasks = []
    for number, pair in enumerate(pairs):
        for name, given in methods.items():
            get_method(name).with_parameters(given)  # refuses an unknown name before anything runs
            frozen = tuple(
                sorted((k, tuple(v) if isinstance(v, list) else v) for k, v in given.items())
            )
            if number < limits.get(name, number + 1):
                tasks += [Task(cohort, options, pair, name, frozen, p) for p in preprocessing]
    return tasks
