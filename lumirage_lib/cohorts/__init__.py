"""Cohorts by name, or as ``module:attribute``; each says itself what it is and how it may be made."""

import functools
import importlib
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..errors import InputError
from .base import Cohort, Pair, Scan, Tools, balanced_pairs, rescan_pairs

__all__ = [
    "COHORTS",
    "SHOWN",
    "Cohort",
    "Pair",
    "Scan",
    "Tools",
    "balanced_pairs",
    "get_cohort",
    "get_maker",
    "get_options",
    "rescan_pairs",
]

# Where each is made, so that only what is asked for is imported.
COHORTS = {
    "atrophy": ".atrophy:atrophy",
    "ixi2": ".ixi2:ixi2",
    "kirby113": ".kirby113:kirby113",
    "ls": ".ls:ls",
    "macaque": ".macaque:macaque",
    "macaque_like": ".macaque_like:macaque_like",
    "nichart": ".nichart:nichart",
    "oasis": ".oasis:oasis",
    "openms": ".openms:openms",
    "openms-clinical": ".openms_clinical:openms_clinical",
    "real5": ".real5:real5",
    "stroke": ".stroke:stroke",
    "synthetic": ".synthetic:synthetic",
    "template": ".template:template",
    "lumir": ".local.lumir:lumir",
    "nimh": ".local.nimh:nimh",
    "oasis-l2r": ".local.oasis_l2r:oasis_l2r",
    "primede": ".local.primede:primede",
    "ultracortex": ".local.ultracortex:ultracortex",
}
# Whose images may be published in pictures: generated, CC BY or MIT. All others stay where they are read.
SHOWN = frozenset({"macaque_like", "openms", "openms-clinical", "stroke", "template"})


def get_maker(name: str) -> Callable[..., Cohort]:
    """The function that makes the cohort of that name; its parameters are the options."""
    module, colon, attribute = COHORTS.get(name, name).partition(":")
    if not colon:
        raise InputError(
            f"no cohort {name!r}; there are {', '.join(COHORTS)}, or name your own as module:attribute"
        )
    try:
        found = getattr(importlib.import_module(module, __name__), attribute)
    except Exception as error:  # whatever a module of the user raises when it is imported
        raise InputError(
            f"cohort {name!r}: {type(error).__name__}: {error}; is the module on PYTHONPATH?"
        ) from error
    if isinstance(found, Cohort):
        return lambda: found
    if not callable(found):
        raise InputError(
            f"cohort {name!r} is a {type(found).__name__}, expected a Cohort or a function that makes one"
        )
    return found


@functools.cache
def _cached(name: str, options: tuple[tuple[str, Any], ...]) -> Cohort:
    make = get_maker(name)
    try:
        cohort = make(**dict(options))
    except TypeError as error:
        given = ", ".join(f"{k}={v}" for k, v in options)
        raise InputError(
            f"cohort {name!r} cannot be made with {given or 'no options'}: {error}; its options are "
            f"{', '.join(get_options(name)) or 'none'}"
        ) from error
    if not isinstance(cohort, Cohort):
        raise InputError(f"cohort {name!r}: made a {type(cohort).__name__}, expected a Cohort")
    # One of a user is called as it was asked for: by that name a child finds it again.
    return cohort if name in COHORTS else replace(cohort, name=name)


def get_cohort(name: str, **options: Any) -> Cohort:
    """The cohort of that name, made once for the same options.

    Parameters
    ----------
    name : str
        A key of `COHORTS`, or ``module:attribute`` of a Cohort or of a function that makes one.
    options
        See :func:`get_options`.

    Raises
    ------
    InputError
        Unknown name or option.
    """
    frozen = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    return _cached(name, tuple(sorted(frozen.items())))


def get_options(name: str) -> dict[str, Any]:
    """Options of a cohort with their defaults.

    Raises
    ------
    InputError
        Unknown name.

    Examples
    --------
    >>> get_options("template")
    {'spacing_mm': 2.0, 'n_subjects': 6, 'seed': 0, 'fine_mm': 0.0, 'noise': 0.015}
    """
    parameters = inspect.signature(get_maker(name)).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is not p.VAR_KEYWORD}
