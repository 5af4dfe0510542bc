"""From the long table of registrations to two columns of numbers about the same pairs."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    key = ["method", "condition", *PAIR]
    twice = table.duplicated(key)
    if twice.any():
        row = table.loc[twice, key].iloc[0].to_dict()
        raise InputError(f"{int(twice.sum())} registrations are listed twice, the first is {row}")
    value = pd.to_numeric(table[measure], errors="coerce").astype(float)
    usable = (table["status"] == "ok") & np.isfinite(value)
    return table.assign(value=value.where(usable))


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
    names = [who] if isinstance(who, str) else list(who)
    methods: list[str] = []
    for name in names:
        family = table.loc[table["family"] == name, "method"].unique().tolist()
        if not family and not (table["method"] == name).any():
            raise InputError(
                f"{name!r} is no method and no family of the table; methods: "
                f"{sorted(table['method'].unique())}, families: {sorted(table['family'].unique())}"
            )
        methods += family or [name]
    return list(dict.fromkeys(methods))


def compute_pair_values(
    table: pd.DataFrame,
    who: str | Sequence[str],
    condition: str | Sequence[str] | None,
    measure: str,
) -> pd.DataFrame:
    """One value per pair: the measure of a method, or its mean over methods or conditions.

    A pair counts as failed as soon as one of the methods failed on it under one of the conditions:
    a mean over those that happened to succeed would compare different things on different pairs.

    Returns
    -------
    DataFrame
        Indexed by (fixed, moving), columns value (NaN if failed), failed, complete (every method
        has a row under every condition), fixed_subject, moving_subject.

    Raises
    ------
    InputError
        If the condition is needed and not given, or nothing was run.
    """
    _check_columns(table, measure)
    methods = choose_methods(table, who)
    # A run has forty columns more, and many rows; every step would copy them.
    needed = list(dict.fromkeys((*COLUMNS, measure)))
    rows = check_pairs(table.loc[table["method"].isin(methods), needed], measure)
    if condition is None:
        conditions = rows["condition"].unique().tolist()
        if len(conditions) > 1:
            raise InputError(f"name the condition: the table holds {sorted(map(str, conditions))}")
    else:
        conditions = [condition] if isinstance(condition, str) else list(condition)
    absent = [c for c in conditions if not (rows["condition"] == c).any()]
    if absent or rows.empty:
        raise InputError(f"no registration by {who!r} under {absent or 'any condition'}")
    rows = rows[rows["condition"].isin(conditions)]
    groups = rows.groupby(list(PAIR), sort=True)
    out = groups[[*SUBJECTS]].first()
    failed = groups["value"].count() < groups.size()
    return out.assign(
        value=groups["value"].mean().where(~failed),
        failed=failed,
        complete=groups.size() == len(methods) * len(conditions),
    )


Values = Callable[[Any, Any], pd.DataFrame]  # of (who, condition): what compute_pair_values gives


def remember_values(table: pd.DataFrame, measure: str) -> Values:
    """:func:`compute_pair_values` of one table, each asked for once; `who` is a tuple or a name.

    For many comparisons of the same few methods; the table must stay as it is.
    """
    return functools.cache(
        lambda who, condition: compute_pair_values(table, who, condition, measure)
    )


def _join(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, int, int]:
    """Pairs both sides completed, and how many of the others failed or are missing."""
    both = first.join(second, how="outer", lsuffix="_1", rsuffix="_2")
    failed = (both["failed_1"] == True) | (both["failed_2"] == True)  # noqa: E712 (NaN is absent)
    complete = (both["complete_1"] == True) & (both["complete_2"] == True)  # noqa: E712
    kept = both[complete & ~failed]
    frame = pd.DataFrame(
        {
            "first": kept["value_1"],
            "second": kept["value_2"],
            **{name: kept[f"{name}_1"] for name in SUBJECTS},
        }
    )
    return frame, int(failed.sum()), int((~complete & ~failed).sum())


def _matched(frame: pd.DataFrame, n_failed: int, n_missing: int) -> Matched:
    return Matched(
        frame["first"].to_numpy(float),
        frame["second"].to_numpy(float),
        frame["fixed_subject"].to_numpy(),
        frame["moving_subject"].to_numpy(),
        n_failed,
        n_missing,
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
    values: Values | None = None,
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
    values : callable, optional
        Of :func:`remember_values`, of the same table and measure.

    Returns
    -------
    Matched
        Failures and missing rows are counted in it.

    Raises
    ------
    InputError
        If a column or name is missing, or a registration is listed twice.
    """
    values = values or remember_values(table, measure)
    return _matched(*_join(*(values(_freeze(who), _freeze(condition)) for who in (first, second))))


def match_conditions(
    table: pd.DataFrame,
    who: str | Sequence[str],
    *,
    condition: str | Sequence[str],
    reference: str,
    measure: str = "dice",
    values: Values | None = None,
) -> Matched:
    """The same pairs by the same method under two conditions: `condition` minus `reference`.

    Pairs are the same if their scan names are: a scan keeps its name over all conditions.
    """
    values = values or remember_values(table, measure)
    return _matched(*_join(*(values(_freeze(who), _freeze(c)) for c in (condition, reference))))


def match_changes(
    table: pd.DataFrame,
    first: str | Sequence[str],
    second: str | Sequence[str],
    *,
    condition: str | Sequence[str],
    reference: str,
    measure: str = "dice",
    values: Values | None = None,
) -> Matched:
    """What a change of condition did to either method, on the same pairs.

    Returns
    -------
    Matched
        `first` is the change of the first method, measure under `condition` minus measure under
        `reference`; `second` that of the second. Their difference is the difference in differences
        (first - second on the condition) - (first - second on the reference).
    """
    values = values or remember_values(table, measure)
    changes = []
    failed: set[tuple[str, str]] = set()
    missing: set[tuple[str, str]] = set()
    for who in (first, second):
        new, old = (values(_freeze(who), _freeze(c)) for c in (condition, reference))
        frame, _, _ = _join(new, old)
        everything = new.index.union(old.index)
        bad = new.index[new["failed"]].union(old.index[old["failed"]])
        failed |= set(bad)
        missing |= set(everything) - set(frame.index) - set(bad)
        changes.append(frame.assign(change=frame["first"] - frame["second"]))
    a, b = changes
    keys = a.index.intersection(b.index)
    # A pair that only one of the two methods was ever run on is missing too.
    missing |= (set(a.index) ^ set(b.index)) - failed
    frame = a.loc[keys, list(SUBJECTS)].assign(
        first=a.loc[keys, "change"], second=b.loc[keys, "change"]
    )
    return _matched(frame, len(failed), len(missing - failed))
