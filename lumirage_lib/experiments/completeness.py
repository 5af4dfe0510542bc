"""Which methods and pairs of a run that is not complete may be compared."""

from collections.abc import Iterable

import pandas as pd

from ..methods import order_of
from .families import Families


def keep_matched(arms: pd.DataFrame) -> pd.DataFrame:
    """Rows of the pairs that a method completed under every condition of an arm.

    Means over them compare the conditions; means over all would also compare the pairs, where a run
    is not complete.
    """
    done = arms[arms["status"] == "ok"]
    wanted = done["arm"].map(done.groupby("arm")["condition"].nunique())
    seen = done.groupby(["arm", "method", "fixed", "moving"])["condition"].transform("nunique")
    return done[seen == wanted]


def keep_whole(rows: pd.DataFrame, families: Families, n_pairs: int) -> pd.DataFrame:
    """Of an arm: conditions that both families were tried on with so many pairs, methods tried so on all."""
    tried = rows.groupby(["condition", "method"]).size()

    def is_whole(conditions: Iterable[str], methods: Iterable[str]) -> bool:
        return all(tried.get((c, m), 0) >= n_pairs for c in conditions for m in methods)

    conditions = [c for c in rows["condition"].unique() if is_whole([c], families.methods)]
    methods = [m for m in rows["method"].unique() if is_whole(conditions, [m])]
    return rows[rows["condition"].isin(conditions) & rows["method"].isin(methods)]


def find_complete(rows: pd.DataFrame) -> list[str]:
    """Methods that were tried on every pair and under every condition that any method was tried on.

    In the order of figures. A failure is a result; what was not run is not.
    """
    places = ["fixed", "moving", "condition"]
    tried = rows[["method", *places]].drop_duplicates()["method"].value_counts()
    return order_of(tried.index[tried == len(rows[places].drop_duplicates())])
