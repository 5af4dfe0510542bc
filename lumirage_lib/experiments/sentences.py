"""Words and tables that every chapter shares; every number in them is computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..methods import family_of, judge_exposure, name_of
from ..stats import count
from .choice import split_methods
from .families import ALL, ARMS, CORE, FAMILY_WORDS, Families, name_plainly

if TYPE_CHECKING:
    from ..runs.task import Task
    from .run import Run

BESIDE = "beside"  # the role of what belongs to neither family of a comparison
EXPOSED = ("seen", "very probably seen")  # of a network to images, see :data:`..methods.EXPOSURES`


def show(value: float, digits: int = 3, *, sign: bool = False) -> str:
    """A number with a true minus sign, no sign on a zero, a dash where there is none.

    Examples
    --------
    >>> show(-0.0123), show(-0.0001), show(0.0123, sign=True), show(float("nan"))
    ('−0.012', '0.000', '+0.012', '–')
    """
    if pd.isna(value):
        return "–"
    text = f"{abs(value):.{digits}f}"
    if not float(text):
        return text
    return ("−" if value < 0 else "+" if sign else "") + text


def show_interval(estimate: float, low: float, high: float, *, digits: int = 3) -> str:
    """ "+0.012 (−0.001 to +0.025)"; without bounds, the estimate alone."""
    text = show(estimate, digits, sign=True)
    if pd.isna(low):
        return text
    return f"{text} ({show(low, digits, sign=True)} to {show(high, digits, sign=True)})"


def make_table(
    rows: Iterable[Mapping[str, Any]], empty: str = "There is nothing to tabulate."
) -> str:
    """Markdown table, one mapping a row; a sentence where there is none.

    A column *failed* that has nothing but zeros is left out: tables are as wide as a page.
    """
    table = pd.DataFrame(list(rows))
    if "failed" in table and not table["failed"].any():
        table = table.drop(columns="failed")
    if table.empty:
        return empty
    return str(table.to_markdown(index=False, disable_numparse=True))


def list_points(points: Iterable[str]) -> str:
    """A Markdown list, each point once."""
    return "\n".join(f"- {point}" for point in dict.fromkeys(points))


def write_design(rows: pd.DataFrame) -> str:
    """ "20 ordered pairs of 10 subjects"."""
    pairs = len(rows[["fixed", "moving"]].drop_duplicates())
    subjects = len({*rows["fixed_subject"], *rows["moving_subject"]})
    return f"{count(pairs, 'ordered pair')} of {count(subjects, 'subject')}"


def write_designs(rows: pd.DataFrame) -> str:
    """The same of every arm."""
    arms = [
        f"{name_plainly(arm)}: {write_design(mine)}"
        for arm, mine in rows.groupby("arm", sort=False)
    ]
    return "; ".join(arms) + "." if arms else "No pairs, no subjects."


def write_state(run: Run, asked: Iterable[str] = ()) -> str:
    """What of the plan is not there yet, and which of the methods asked for are not here."""
    absent = split_methods(dict.fromkeys(asked))[1]
    left_out = [f"{name_of(m)} is left out: {why}." for m, why in absent.items()]
    have = set(run.registrations["key"])
    lacking = pd.Series([t.method for t in run.tasks if t.key not in have], dtype=object)
    if lacking.empty:
        return " ".join(left_out)
    incomplete = (
        f"This run is not complete: {len(lacking)} of {len(run.tasks)} registrations, by "
        f"{count(lacking.nunique(), 'method')}, are still to be computed. An arm has no verdict before its "
        "families are complete on every pair."
    )
    return " ".join([incomplete, *left_out])


def name_some(methods: Iterable[str], most: int = 2) -> str:
    """Names of at most so many methods; of more, how many they are."""
    names = [name_of(m) for m in methods]
    return " and ".join(names) if len(names) <= most else f"{len(names)} methods"


def say_sides(sides: Mapping[str, Families]) -> str:
    """Who stands for either side in arms that are not compared by the declared families; else nothing.

    Parameters
    ----------
    sides : mapping
        Arm -> its families.
    """
    rows = {
        method: {
            "method": name_of(method),
            "stands here for": words,
            "in a declared family": "yes" if method in ALL.methods else "no",
        }
        for side, words in FAMILY_WORDS.items()
        for arm, families in sides.items()
        if families.deep
        and families.iterative
        and families not in ([ARMS[arm].families] if arm in ARMS else [ALL, CORE])
        for method in getattr(families, side)
    }
    return (
        "Here the two sides are not the declared [families](../rules.md#families) but these:\n\n"
        + make_table(rows.values())
        if rows
        else ""
    )


def describe_families(values: pd.Series, digits: int = 3, families: Families | None = None) -> str:
    """ "iterative methods 0.61 to 0.62, networks 0.58 to 0.63", from the numbers of each method.

    Parameters
    ----------
    values : Series
        Index: methods, known here; one that stands there more than once has a range of its own.
    families : Families, optional
        Who counts for either side; methods of neither are told apart, beside them. By default, all count.
    """
    said = list[str]()
    roles = pd.Series([_find_role(m, families) for m in values.index], values.index, dtype=object)
    for role, words in {**FAMILY_WORDS, BESIDE: "", "baseline": ""}.items():
        found = values[roles == role].dropna()
        if len(found):
            # One beside the families: the baseline may be named in the same sentence.
            who = words or name_some(dict.fromkeys(found.index), most=1)
            ends = dict.fromkeys(show(x, digits) for x in (found.min(), found.max()))
            apart = "beside them " if role == BESIDE and said else ""
            said.append(f"{apart}{who} {' to '.join(ends)}")
    return ", ".join(said)


def _find_role(method: str, families: Families | None) -> str:
    family = family_of(method)
    if families is None or family == "baseline":
        return family
    return next((side for side in FAMILY_WORDS if method in getattr(families, side)), BESIDE)


def list_limits(run: Run) -> list[str]:
    """What has to be known of the images that a run shows: who may have learned from them, what their
    cohorts say of them; of several, by name."""
    have = set(run.registrations["key"])
    shown = [task for task in run.tasks if task.key in have] or run.tasks
    cohorts = {task.cohort: task for task in reversed(shown)}
    first: dict[str, str] = {}  # who says it: what is made of another cohort's scans says the same
    for name in reversed(cohorts):
        for limit in cohorts[name].get_cohort().limits:
            first.setdefault(limit, name)
    said = [f"*{name}*: {limit}" if len(cohorts) > 1 else limit for limit, name in first.items()]
    return [*say_exposure(shown), *said]


def say_exposure(tasks: Iterable[Task]) -> list[str]:
    """How many networks have probably learned from images that they are tested on; nothing of none."""
    pairs = {(task.method, task.cohort): task for task in tasks if family_of(task.method) == "deep"}
    networks = {method for method, _ in pairs}
    seen = {
        method
        for (method, _), task in pairs.items()
        if judge_exposure(method, task.get_cohort()).word in EXPOSED
    }
    if not seen:
        return []
    have = "has" if len(seen) == 1 else "have"
    return [
        f"{len(seen)} of {count(len(networks), 'network')} on this page {have} very probably been trained on "
        "images that are tested here. That would favour networks. "
        "[Who has seen what](../methods.md#who-has-seen-what)."
    ]
