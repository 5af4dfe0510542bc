"""Cohorts by name."""

from __future__ import annotations

import functools
from collections.abc import Callable

from ..errors import InputError
from .base import Cohort, Pair, Scan, Tools, balanced_pairs, rescan_pairs
from .local import LOCAL_COHORTS
from .macaque import macaque
from .macaque_like import macaque_like
from .nichart import nichart
from .oasis import oasis
from .openms import openms
from .synthetic import synthetic
from .template import template

__all__ = [
    "COHORTS",
    "Cohort",
    "Pair",
    "Scan",
    "Tools",
    "balanced_pairs",
    "get_cohort",
    "rescan_pairs",
]

COHORTS: dict[str, Callable[..., Cohort]] = {
    "macaque": macaque,
    "macaque_like": macaque_like,
    "nichart": nichart,
    "oasis": oasis,
    "openms": openms,
    "synthetic": synthetic,
    "template": template,
    **LOCAL_COHORTS,
}


@functools.cache
def _cached(name: str, options: tuple) -> Cohort:
    try:
        return COHORTS[name](**dict(options))
    except TypeError as error:
        raise InputError(f"cohort {name!r} cannot be made with {dict(options)}: {error}") from error


def get_cohort(name: str, **options) -> Cohort:
    """The cohort of that name.

    Raises
    ------
    InputError
        Unknown name or option.
    """
    if name not in COHORTS:
        raise InputError(f"no cohort {name!r}; there are {', '.join(COHORTS)}")
    return _cached(name, tuple(sorted(options.items())))
