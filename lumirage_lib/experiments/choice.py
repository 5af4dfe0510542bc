"""Which of the methods asked for are here."""

from collections.abc import Iterable

from ..errors import InputError
from ..methods import ADDABLE, get_method


def split_methods(names: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Methods that are here, and those whose weights a reader would have to add, with how.

    Raises
    ------
    InputError
        There is no method of a name.
    """
    known, absent = [], {}
    for name in names:
        try:
            get_method(name)
        except InputError:
            if name not in ADDABLE:
                raise
            absent[name] = ADDABLE[name]
        else:
            known.append(name)
    return known, absent
