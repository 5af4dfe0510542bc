"""The paper's own data by its authors' protocol, in any notebook that takes a cohort by name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..cohorts.local import LAYOUTS, find_layout
from ..errors import InputError
from ..images.linear import KINDS
from ..images.preprocess import STANDARD, Preprocessing
from ..methods import ADDABLE, MethodSpec, get_method
from ..runs.task import Task, plan
from .choice import split_methods

# What differs from the registry's FireANTs, whose defaults are the authors' for NIMH and LUMIR
# (rohitrango/lumirage-evals).
PRESETS: dict[str, dict] = {
    "primede": {
        "kernel": 11,
        "iterations": [200, 200, 100, 50],
        "warp_sigma": 1.0,
        "gradient_sigma": 2.0,
    },
    "ultracortex": {"scales": [12, 8, 4, 2, 1], "iterations": [200, 200, 100, 100, 20]},
}


def _across(kind: str) -> MethodSpec:
    """FireANTs on MIND-SSC descriptors under the name that it has within a modality.

    To the authors it is one method, which changes what it looks at with the pair; under two names
    neither would have seen all pairs.
    """
    spec, mind = get_method(f"fireants-{kind}"), get_method("fireants-greedy-mind")
    return replace(spec, citation=mind.citation, parameters={**mind.parameters, **spec.parameters})


GREEDY_ACROSS, SYN_ACROSS = _across("greedy"), _across("syn")
ACROSS = {  # method -> what it is for a pair of two modalities
    "fireants-greedy": f"{__name__}:GREEDY_ACROSS",
    "fireants-syn": f"{__name__}:SYN_ACROSS",
}
CENTRE = "centre"  # the start that the authors' moments of first order give


def is_paper_data(parameters: Mapping) -> bool:
    """Whether the cohort is one that its user has in a folder."""
    return parameters["cohort"] in LAYOUTS


def paper_options(parameters: Mapping) -> dict:
    """What such a cohort is made with; no key of a result depends on where the folder is."""
    root = parameters.get("root", "")
    return {**({"root": root} if root else {}), **parameters.get("cohort_options", {})}


def start_at(alignment: str) -> Preprocessing:
    """The standard preprocessing from another linear start: "affine", "rigid" or "centre".

    "centre" puts the centres of mass together.
    """
    if alignment not in KINDS:
        raise InputError(f"alignment {alignment!r}: expected one of {', '.join(KINDS)}")
    if alignment == STANDARD.alignment:
        return STANDARD
    return replace(STANDARD, name=alignment, alignment=alignment)


def choose_methods(cohort: str, methods: Iterable[str], cross: bool) -> dict[str, dict]:
    """Methods with the authors' parameters on a data set.

    Parameters
    ----------
    cross : bool
        The pair is of two modalities: FireANTs sees MIND-SSC descriptors.
    """
    methods = list(methods)
    _, absent = split_methods(m for m in methods if m in ADDABLE)
    chosen = {}
    for method in methods:
        if method in absent:
            continue  # a checkpoint that this reader does not have
        name = ACROSS.get(method, method) if cross else method
        chosen[name] = PRESETS.get(cohort, {}) if method.startswith("fireants-") else {}
    return chosen


def plan_paper(
    parameters: Mapping, conditions: Sequence[Preprocessing] | None = None
) -> list[Task]:
    """The data set's own pairs by every method, in the authors' way.

    Parameters
    ----------
    parameters : mapping
        Of a notebook: cohort, methods, n_pairs (0: all) and, where it has them, limits, alignment,
        root and cohort_options.
    conditions : sequence of Preprocessing, optional
        Else the standard one from the start that `alignment` names.

    Raises
    ------
    InputError
        No pair of the data set is complete, or a limit for a method that is not asked for.
    """
    name, options = parameters["cohort"], paper_options(parameters)
    layout = find_layout(name, **options)
    if not layout.pairs:
        raise InputError(
            f"{name}: no pair is complete in {layout.root}; "
            f"`lumirage data check {name} --root DIR` says what is missing"
        )
    methods, limits = parameters["methods"], parameters.get("limits", {})
    if unknown := set(limits) - set(methods):
        raise InputError(f"limit for {sorted(unknown)}, not among the methods {methods}")
    conditions = conditions or [start_at(parameters.get("alignment", STANDARD.alignment))]
    tasks = []
    for number, pair in enumerate(layout.pairs[: parameters["n_pairs"] or None]):
        now = [m for m in methods if number < limits.get(m, number + 1)]
        fixed, moving = layout.modalities(pair)
        tasks += plan(
            name,
            [pair],
            choose_methods(name, now, fixed != moving),
            cohort_options=options,
            preprocessing=conditions,
        )
    return tasks
