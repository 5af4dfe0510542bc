"""Which of the methods asked for are registered here."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import InputError
from ..methods import get_method


def split_methods(names: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Methods that are registered here, and why the others are not."""
    known, absent = [], {}
    for name in names:
        try:
            get_method(name)
        except InputError as error:
            absent[name] = str(error).split(";")[0]
        else:
            known.append(name)
    return known, absent
