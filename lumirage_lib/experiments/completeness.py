"""Which methods and pairs of a run that is not complete may be compared."""

import pandas as pd

from ..methods import order_of


def keep_matched(arms: pd.DataFrame) -> pd.DataFrame:
    """Rows of the pairs that a method completed under every condition of an arm.

    Means over them compare the conditions; means over all would also compare the pairs, where a run
    is not complete.
    """
    done = arms[arms["status"] == "ok"]
    wanted = done["arm"].map(done.groupby("arm")["condition"].nunique())
    seen = done.groupby(["arm", "method", "fixed", "moving"])["condition"].transform("nunique")
    return done[seen == wanted]


def find_complete(rows: pd.DataFrame) -> list[str]:
    """Methods that were tried on every pair and under every condition that any method was tried on.

    In the order of figures. A failure is a result; what was not run is not.
    """
    places = ["fixed", "moving", "condition"]
    tried = rows[["method", *places]].drop_duplicates()["method"].value_counts()
    everywhere = len(rows[places].drop_duplicates())
    return order_of(tried.index[tried == everywhere])
