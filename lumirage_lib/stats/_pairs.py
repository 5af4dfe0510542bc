"""From the long table of registrations to two columns of numbers about the same pairs."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError
from ._design import count_subjects

COLUMNS = (
    "method",
    "family",
    "fixed",
    "moving",
    "fixed_subject",
    "moving_subject",
    "condition",
    "status",
)
PAIR = ("fixed", "moving")
SUBJECTS = ("fixed_subject", "moving_subject")
ONE = ("method", "condition", *PAIR)  # what names one registration
# Measures whose small values are good, by the start of their name; the rest must say.
ERRORS = (
    "hd95",
    "tre",
    "ndv",
    "ndp",
    "sd_log",
    "true_error",
    "non_positive",
    "inverse_consistency",
)
OVERLAPS = ("dice", "soft_dice")


@dataclass(frozen=True)
class Matched:
    """One measure of two methods on the same pairs; made by :func:`match_pairs` and its kin.

    Attributes
    ----------
    first, second : float array, shape (n_pairs,)
        The measure of either side, finite; `first - second` is what is tested.
    fixed_subject, moving_subject : array of str, shape (n_pairs,)
        Who was registered to whom. The same subject may appear in both roles and in many pairs.
    n_failed : int
        Pairs left out because a registration failed or has no finite measure.
    n_missing : int
        Pairs left out because one side has no row at all (an unfinished run).
    """

    first: np.ndarray
    second: np.ndarray
    fixed_subject: np.ndarray
    moving_subject: np.ndarray
    n_failed: int = 0
    n_missing: int = 0

    def __post_init__(self) -> None:
        sizes = {len(self.first), len(self.second), *map(len, (self.fixed_subject,))}
        if len(sizes | {len(self.moving_subject)}) != 1:
            raise InputError("first, second and both subject arrays must have one entry per pair")
        if not (np.isfinite(self.first).all() and np.isfinite(self.second).all()):
            raise InputError("matched values must be finite; leave failures out and count them")

    @property
    def difference(self) -> np.ndarray:
        """`first - second`, pair by pair."""
        return np.asarray(self.first - self.second)

    @property
    def n_pairs(self) -> int:
        """Pairs that both sides completed."""
        return len(self.first)

    @property
    def n_subjects(self) -> int:
        """Distinct subjects sampled in either role; an atlas common to all pairs does not count."""
        return count_subjects(self.fixed_subject, self.moving_subject)


def is_error(measure: str) -> bool:
    """Whether small values of a measure are good (HD95, TRE, ...) or large ones (Dice).

    Raises
    ------
    InputError
        If the name is neither; the direction is never guessed.
    """
    if measure.startswith(ERRORS):
        return True
    if measure.startswith(OVERLAPS):
        return False
    raise InputError(
        f"whether {measure!r} is good when high or low is not known; pass the direction yourself"
    )


def check_pairs(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Refuse a table without the columns needed, or with one registration listed twice.

    Parameters
    ----------
    table : DataFrame
        One row per registration, with the columns method, family, fixed, moving, fixed_subject,
        moving_subject, condition, status ("ok" or how it failed) and `measure` (NaN if failed).

    Returns
    -------
    DataFrame
        The same rows with a column `value`: the measure where the status is "ok" and the measure is
        finite, else NaN.

    Raises
    ------
    InputError
    """
    _check_columns(table, measure)
    _refuse_twice(table, table.duplicated(list(ONE)))
    return table.assign(value=_take_value(table, measure))


def _refuse_twice(rows: pd.DataFrame, twice: pd.Series) -> None:
    if twice.any():
        row = rows.loc[twice, list(ONE)].iloc[0].to_dict()
        raise InputError(f"{int(twice.sum())} registrations are listed twice, the first is {row}")


def _take_value(table: pd.DataFrame, measure: str) -> pd.Series:
    value = pd.to_numeric(table[measure], errors="coerce").astype(float)
    return value.where((table["status"] == "ok") & np.isfinite(value))


def _check_columns(table: pd.DataFrame, measure: str) -> None:
    absent = [c for c in (*COLUMNS, measure) if c not in table.columns]
    if absent:
        raise InputError(
            f"the pairs table lacks {', '.join(absent)}; it has {', '.join(map(str, table.columns))}"
        )


def choose_methods(table: pd.DataFrame, who: str | Sequence[str]) -> list[str]:
    """Methods meant by a family's name, a method's name, or a list of method names.

    Raises
    ------
    InputError
        If a name is neither a family nor a method of the table.
    """
    return _choose(_list_families(table), who)


def _list_families(table: pd.DataFrame) -> dict[str, list[str]]:
    """Family -> its methods, in the order of the table."""
    found: dict[str, list[str]] = {}
    for family, method in zip(
        *(table[name].tolist() for name in ("family", "method")), strict=True
    ):
        found.setdefault(family, []).append(method)
    return {family: list(dict.fromkeys(methods)) for family, methods in found.items()}


def _choose(families: Mapping[str, list[str]], who: str | Sequence[str]) -> list[str]:
    known = list(chain.from_iterable(families.values()))
    methods: list[str] = []
    for name in [who] if isinstance(who, str) else who:
        if name not in families and name not in known:
            raise InputError(
                f"{name!r} is no method and no family of the table; methods: {sorted(known)}, "
                f"families: {sorted(families)}"
            )
        methods += families.get(name, [name])
    return list(dict.fromkeys(methods))


@dataclass(frozen=True)
class PairValues:
    """The measure of a method, or its mean over methods or conditions, on every pair of a table.

    A pair counts as failed as soon as one of the methods failed on it under one of the conditions:
    a mean over those that happened to succeed would compare different things on different pairs.

    Attributes
    ----------
    value : float array, shape (n_pairs,)
        NaN where it failed or nothing was run.
    present, failed, complete : bool array, shape (n_pairs,)
        Whether there is a row; whether one of them failed; whether every method has a row under
        every condition.
    """

    value: np.ndarray
    present: np.ndarray
    failed: np.ndarray
    complete: np.ndarray


class PairTable:
    """The pairs table spread out, method by condition by pair, for many comparisons of few methods.

    Called with who (a name or a tuple of names) and a condition (one, a tuple, or None for the only
    one) it gives the :class:`PairValues`; what was asked before is remembered, so the table must stay
    as it is. Pairs are in the order of the names of their scans.
    """

    def __init__(self, table: pd.DataFrame, measure: str) -> None:
        _check_columns(table, measure)
        self._table = table
        self._value = _take_value(table, measure).to_numpy()
        self._twice = table.duplicated(list(ONE)).to_numpy()
        self._families = _list_families(table)
        self._rows = table.groupby(["method", "condition"], sort=False).indices
        groups = table.groupby(list(PAIR), sort=True)
        self._pair = groups.ngroup().to_numpy()
        self.subjects = groups[[*SUBJECTS]].first()
        self._spread = functools.cache(self._spread_out)
        self._asked = functools.cache(self._compute)

    def __call__(self, who: Any, condition: Any) -> PairValues:
        return self._asked(who, condition)

    def _spread_out(self, method: str) -> dict[str, np.ndarray]:
        """Condition -> by pair, shape (2, n_pairs), 1 where there is a row, and its value or NaN."""
        found: dict[str, np.ndarray] = {}
        for (name, condition), rows in self._rows.items():
            if name == method:
                _refuse_twice(self._table.iloc[rows], self._twice[rows])
                found[condition] = np.zeros((2, len(self.subjects)))
                found[condition][0, self._pair[rows]] = 1
                found[condition][1, self._pair[rows]] = self._value[rows]
        return found

    def _compute(self, who: Any, condition: Any) -> PairValues:
        methods = {m: self._spread(m) for m in _choose(self._families, who)}
        there = list(dict.fromkeys(c for found in methods.values() for c in found))
        if condition is None and len(there) > 1:
            raise InputError(f"name the condition: the table holds {sorted(map(str, there))}")
        named = [condition] if isinstance(condition, str) else condition
        asked = there if condition is None else named
        absent = [c for c in asked if c not in there]
        if absent or not there:
            raise InputError(f"no registration by {who!r} under {absent or 'any condition'}")
        found = np.stack([f[c] for f in methods.values() for c in asked if c in f])
        n = found[:, 0].sum(axis=0)
        failed = np.isnan(found[:, 1]).any(axis=0)
        value = np.full(len(n), np.nan)
        np.divide(np.nansum(found[:, 1], axis=0), n, out=value, where=(n > 0) & ~failed)
        return PairValues(value, n > 0, failed, n == len(methods) * len(asked))

    def keep(self, first: np.ndarray, second: np.ndarray, sides: Sequence[PairValues]) -> Matched:
        """Two columns on the pairs that all sides completed, and how many others failed or are missing."""
        complete = np.logical_and.reduce([side.complete for side in sides])
        failed = np.logical_or.reduce([side.failed for side in sides])
        present = np.logical_or.reduce([side.present for side in sides])
        kept = complete & ~failed
        return Matched(
            first[kept],
            second[kept],
            self.subjects.loc[kept, "fixed_subject"].to_numpy(),
            self.subjects.loc[kept, "moving_subject"].to_numpy(),
            int(failed.sum()),
            int((present & ~complete & ~failed).sum()),
        )


def _freeze(names: str | Sequence[str] | None) -> str | tuple[str, ...] | None:
    return names if names is None or isinstance(names, str) else tuple(names)


def match_pairs(
    table: pd.DataFrame,
    first: str | Sequence[str],
    second: str | Sequence[str],
    *,
    measure: str = "dice",
    condition: str | Sequence[str] | None = None,
    values: PairTable | None = None,
) -> Matched:
    """The same pairs by two methods, or by two families (mean over the methods of each).

    Parameters
    ----------
    table : DataFrame
        The pairs table, see :func:`check_pairs`.
    first, second : str or sequence of str
        A method, a family, or several methods.
    condition : str or sequence of str, optional
        Needed if the table holds several; of a sequence, the mean over the conditions.
    values : PairTable, optional
        Of the same table and measure.

    Returns
    -------
    Matched
        Failures and missing rows are counted in it.

    Raises
    ------
    InputError
        If a column or name is missing, or a registration is listed twice.
    """
    values = values or PairTable(table, measure)
    a, b = (values(_freeze(who), _freeze(condition)) for who in (first, second))
    return values.keep(a.value, b.value, (a, b))


def match_conditions(
    table: pd.DataFrame,
    who: str | Sequence[str],
    *,
    condition: str | Sequence[str],
    reference: str,
    measure: str = "dice",
    values: PairTable | None = None,
) -> Matched:
    """The same pairs by the same method under two conditions: `condition` minus `reference`.

    Pairs are the same if their scan names are: a scan keeps its name over all conditions.
    """
    values = values or PairTable(table, measure)
    a, b = (values(_freeze(who), _freeze(c)) for c in (condition, reference))
    return values.keep(a.value, b.value, (a, b))


def match_changes(
    table: pd.DataFrame,
    first: str | Sequence[str],
    second: str | Sequence[str],
    *,
    condition: str | Sequence[str],
    reference: str,
    measure: str = "dice",
    values: PairTable | None = None,
) -> Matched:
    """What a change of condition did to either method, on the same pairs.

    Returns
    -------
    Matched
        `first` is the change of the first method, measure under `condition` minus measure under
        `reference`; `second` that of the second. Their difference is the difference in differences
        (first - second on the condition) - (first - second on the reference).
    """
    values = values or PairTable(table, measure)
    asked = (_freeze(condition), _freeze(reference))
    sides = [values(_freeze(who), c) for who in (first, second) for c in asked]
    a, a_before, b, b_before = (side.value for side in sides)
    return values.keep(a - a_before, b - b_before, sides)
