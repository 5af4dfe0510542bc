"""The paper's own data, read from the folder its user has; one module a data set.

Each module has a function ``find_NAME(root, **options) -> Layout``, which lists what is on disk; the
cohort of a data set takes the same options.
"""

import inspect
from collections.abc import Callable

from ...errors import InputError
from .check import Report, check_layout
from .layout import Entry, Layout
from .lumir import find_lumir
from .nimh import find_nimh
from .oasis_l2r import find_oasis_l2r
from .primede import find_primede
from .ultracortex import find_ultracortex

__all__ = [
    "LAYOUTS",
    "Entry",
    "Layout",
    "Report",
    "check_layout",
    "find_layout",
]

LAYOUTS: dict[str, Callable[..., Layout]] = {
    "lumir": find_lumir,
    "nimh": find_nimh,
    "oasis-l2r": find_oasis_l2r,
    "primede": find_primede,
    "ultracortex": find_ultracortex,
}


def find_layout(name: str, **options) -> Layout:
    """What a user has of a data set.

    Parameters
    ----------
    name : str
        A key of `LAYOUTS`.
    options
        `root`, the folder (without it the variable ``LUMIRAGE_DATA_NAME``); `pairs`, a pair list of
        the paper's authors; and those of the data set.

    Raises
    ------
    InputError
        Unknown name or option, no such folder, or nothing of the data set in it.
    """
    if name not in LAYOUTS:
        raise InputError(f"no data set {name!r} is read from a folder; {', '.join(LAYOUTS)} are")
    try:
        return LAYOUTS[name](**options)
    except TypeError as error:
        known = ", ".join(inspect.signature(LAYOUTS[name]).parameters)
        raise InputError(f"{name} takes the options {known}, got {', '.join(options)}") from error
