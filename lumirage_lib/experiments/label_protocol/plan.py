"""Notebook 06: the pairs of notebook 01, some of them again at other strengths of smoothing, and real
contrasts whose labels were drawn anew."""

from collections.abc import Mapping

from ...cohorts.segmented import ON_CONTRAST
from ...errors import InputError
from ...runs.task import plan
from ..contrasts.analysis import find_references
from ..contrasts.plan import REAL, plan_real
from ..entry import Entry, enter
from ..families import ARMS
from ..pairs import choose_pairs, cohort_options, plan_pairs

CURVE = "regularity"  # arm; its conditions are methods, its doses positions on the curve


def plan_rulers(parameters: Mapping) -> list[Entry]:
    """What notebook 01 has, the first pairs along each curve of `curves`, and the arms of `drawn`.

    `curves` is a mapping of method to ``{parameter: values}``, values from rough to smooth; the value
    that the method has by default is among them, so that it is registered once. `drawn` is a mapping of
    an arm of notebook 03 to its number of pairs: by the families that are compared on it, in every contrast
    that labels were drawn on, and in what these are referred to.
    """
    entries = plan_pairs(parameters)
    pairs = choose_pairs(parameters)[: parameters["n_curve_pairs"]]
    for method, curve in parameters["curves"].items():
        if not isinstance(curve, Mapping) or len(curve) != 1:
            raise InputError(
                f"curves: expected {{parameter: values}} for {method}, got {curve!r}; "
                "one parameter makes a curve"
            )
        ((name, values),) = curve.items()
        for place, value in enumerate(values):
            tasks = plan(
                parameters["cohort"],
                pairs,
                {method: {name: value}},
                cohort_options=cohort_options(parameters),
            )
            entries += enter(tasks, CURVE, method, float(place))
    for arm, n_pairs in parameters["drawn"].items():
        asked = plan_real(arm, n_pairs, ARMS[arm].families.methods, parameters)
        on = {e.condition for e in asked if ON_CONTRAST in e.task.get_cohort().label_sets}
        references = find_references(arm, REAL[arm].contrasts)
        needed = on | {references[contrast] for contrast in on}
        entries += [e for e in asked if e.condition in needed]
    return entries
