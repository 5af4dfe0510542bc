"""Notebook 06: the pairs of notebook 01, and some of them again at other strengths of smoothing."""

from collections.abc import Mapping

from ...errors import InputError
from ...runs.task import plan
from ..entry import Entry, enter
from ..pairs import choose_pairs, cohort_options, plan_pairs

CURVE = "regularity"  # arm; its conditions are methods, its doses positions on the curve


def plan_rulers(parameters: Mapping) -> list[Entry]:
    """What notebook 01 has, then the first pairs along each curve of `curves`.

    `curves` is a mapping of method to ``{parameter: values}``, values from rough to smooth; the value
    that the method has by default is among them, so that it is registered once.
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
    return entries
