"""Which methods and pairs of a run that is not complete may be compared."""

from __future__ import annotations

import pandas as pd

from ..methods import order_of

COMPLETE = 0.9  # of the rows of the most complete method of a family, to be counted in it


def keep_matched(arms: pd.DataFrame) -> pd.DataFrame:
    """Rows of the pairs that a method completed under every condition of an arm.

    Means over them compare the conditions; means over all would also compare the pairs, where a run
    is not complete.
    """
    done = arms[arms["status"] == "ok"]
    wanted = done["arm"].map(done.groupby("arm")["condition"].nunique())
    seen = done.groupby(["arm", "method", "fixed", "moving"])["condition"].transform("nunique")
    return done[seen == wanted]


def keep_complete(rows: pd.DataFrame) -> list[str]:
    """Methods with at least nine tenths of the rows of the one with most, in the order of figures.

    A run goes on pair by pair: the last pair may lack a method or two, which must not go for that. One
    that has just begun would leave its few pairs alone to be compared.
    """
    n_rows = rows["method"].value_counts()
    return order_of(n_rows.index[n_rows >= COMPLETE * n_rows.max()])


def find_methods(table: pd.DataFrame, family: str) -> list[str]:
    """Methods of a family that are complete and have a row under every condition of an arm."""
    rows = table[table["family"] == family]
    n_conditions = table["condition"].nunique()
    seen = rows.groupby("method")["condition"].nunique()
    return [m for m in keep_complete(rows) if seen[m] == n_conditions]
