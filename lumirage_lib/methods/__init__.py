"""The registry: every registration method by name.

A method of one's own needs no change here: write ``METHOD = MethodSpec(...)`` in a module and name
it ``"my_module:METHOD"`` wherever a method is named.
"""

import functools
import importlib
from importlib import util

from ..cohorts.sources import is_local
from ..errors import InputError, WeightsError
from . import ants, convexadam, deep, fireants, greedy
from .base import EXPOSURES, FAMILIES, InputSpec, MethodSpec, Training, run_method
from .deep import ADDABLE
from .display import AS_GIVEN, colour_of, family_of, marker_of, name_of, order_of
from .exposure import Exposure, judge_exposure
from .instance import refine_method
from .local import find_faults, find_local

__all__ = [
    "ADDABLE",
    "AS_GIVEN",
    "EXPOSURES",
    "FAMILIES",
    "METHODS",
    "Exposure",
    "InputSpec",
    "MethodSpec",
    "Training",
    "colour_of",
    "family_of",
    "find_faults",
    "get_method",
    "judge_exposure",
    "list_methods",
    "marker_of",
    "missing",
    "name_of",
    "order_of",
    "run_method",
]

METHODS: dict[str, MethodSpec] = {
    spec.id: spec
    for spec in (
        *ants.SPECS,
        *greedy.SPECS,
        *fireants.SPECS,
        *convexadam.SPECS,
        *deep.SPECS,
    )
}

# Those of a user, by id, once they were named as module:attribute: rows hold the id alone.
OWN: dict[str, MethodSpec] = {}


@functools.cache
def get_method(name: str) -> MethodSpec:
    """The method of that name, or the one at ``module:attribute``; "+io" behind it refines a network,
    "@grid" feeds a network the working grid instead of resampling to its training voxels.

    Raises
    ------
    InputError
        There is none; the message lists those there are.
    WeightsError
        It is one of added weights, which are damaged.
    """
    if name in METHODS:
        return METHODS[name]
    if name.endswith("+io"):
        return refine_method(get_method(name.removesuffix("+io")))
    if name.endswith(AS_GIVEN):
        return deep.feed_any_grid(get_method(name.removesuffix(AS_GIVEN)))
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            spec = getattr(importlib.import_module(module), attribute)
        except Exception as error:  # whatever a module of the user raises when it is imported
            raise InputError(
                f"method {name!r}: {type(error).__name__}: {error}; is the module on PYTHONPATH?"
            ) from error
        if not isinstance(spec, MethodSpec):
            raise InputError(f"method {name!r} is a {type(spec).__name__}, expected a MethodSpec")
        others = METHODS.keys() | find_local().keys()
        if spec.id in others and module.partition(".")[0] != __name__.partition(".")[0]:
            raise InputError(
                f"method {name!r} has the id {spec.id!r} of a method that is here already, and rows "
                "are found by it; give yours another"
            )
        OWN[spec.id] = spec
        return spec
    if name in OWN:
        return OWN[name]
    local = find_local()
    if name in local:
        return deep.make_local_method(local[name])
    if name in (faults := find_faults()):
        raise WeightsError(faults[name])
    if name in ADDABLE:
        raise InputError(f"method {name!r} is not here: {ADDABLE[name]}")
    raise InputError(
        f"no method {name!r}; there are {', '.join(METHODS)}, add +io to a "
        "network, or name your own as module:attribute"
    )


def list_methods() -> list[MethodSpec]:
    """Every method that ships with the library, then those whose weights were added and are sound."""
    return [get_method(name) for name in dict.fromkeys([*METHODS, *find_local()])]


def missing(spec: MethodSpec) -> str | None:
    """Why a method cannot run here (a package or weights that are not there), or None."""
    if spec.package and util.find_spec(spec.package) is None:
        return f"the Python package {spec.package} is not installed"
    if spec.weights is not None and not is_local(spec.weights):
        if spec.weights.folder is not None:
            return f"its weights {spec.weights.name} are damaged; install or add them again"
        return (
            f"its weights {spec.weights.name} are not here; "
            f"`lumirage data fetch {spec.weights.repository}` gets them"
        )
    return None
