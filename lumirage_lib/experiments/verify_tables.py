"""The headline numbers again, straight from the published tables: short, and on another path.

Of the analysis only what is asked is taken (which methods, conditions and arms a claim names, and where
each registration stands in the plan); Dice comes from the table of structures, families and differences
of differences are means of pivot tables.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from ..cohorts.atrophy import STRUCTURES, find_labels
from ..runs.task import Task
from ..stats import Verdict
from .do_no_harm.plan import ATROPHY
from .families import ARMS, FRESH
from .registry import EXPERIMENTS, load

PAIR = ["fixed", "moving"]
CLOSE = 1e-9


def recompute_headlines(folder: Path, parameters_of: Mapping[str, Mapping]) -> pd.DataFrame:
    """What the book says and what the tables give.

    Parameters
    ----------
    folder : path
        Of the export.
    parameters_of : mapping
        Notebook -> its parameters under the profile.

    Returns
    -------
    DataFrame
        Columns notebook, number, book, tables, same: the mean Dice of all registrations a method has in
        a notebook, the estimate of every claim that rests on the cohort's own labels, and the share that
        a method shows of a known change.
    """
    structures = pd.read_parquet(
        Path(folder) / "structures.parquet",
        columns=["key", "label_set", "dice"],
        filters=[("rule", "==", "nearest"), ("label", ">", 0)],
    )
    dice = structures.groupby(["key", "label_set"])["dice"].mean()
    rows = []
    for notebook, parameters in parameters_of.items():
        experiment = EXPERIMENTS.get(notebook)
        if experiment is None:
            continue
        run = load(notebook, parameters)
        if run.registrations.empty:
            continue
        first = {t.key: next(iter(t.get_cohort().label_sets)) for t in run.tasks}
        table = run.registrations[run.registrations["status"] == "ok"].copy()
        table["again"] = [dice.get((key, first[key]), float("nan")) for key in table["key"]]
        for method, mine in table.groupby("method"):
            rows.append((notebook, f"Dice of {method}", mine["dice"].mean(), mine["again"].mean()))
        result = experiment.analyse(run, parameters)
        if ATROPHY in set(table["arm"]):
            book = result.lines.groupby("method")["slope"].mean()
            rows += [
                (notebook, f"share of a known change, {method}", book.get(method), share)
                for method, share in _recompute_shares(Path(folder), table, run.tasks).items()
            ]
        verdicts = experiment.verdicts(result)
        rows += [
            (notebook, v.claim.id, v.estimate, _recompute(v, table))
            for v in verdicts
            if v.n_pairs and not v.labels and not _has_own_labels(v)
        ]
    found = pd.DataFrame(rows, columns=["notebook", "number", "book", "tables"])
    return found.assign(same=(found["book"] - found["tables"]).abs() <= CLOSE)


def _recompute_shares(folder: Path, table: pd.DataFrame, tasks: Sequence[Task]) -> pd.Series:
    """Slope of found over true change, mean over subjects and then structures, by method."""
    mine = table.loc[
        table["arm"] == ATROPHY, ["key", "condition", "dose", "method", "fixed_subject"]
    ]
    found = pd.read_parquet(
        folder / "structures.parquet",
        columns=["key", "label_set", "label", "n_fixed", "j_mean"],
        filters=[("rule", "==", "nearest"), ("key", "in", list(mine["key"]))],
    ).merge(mine, on="key")
    cohort = next(t for t in tasks if t.key in set(mine["key"])).get_cohort()
    own = found["label_set"] == next(iter(cohort.label_sets))
    slopes = dict[str, pd.Series]()
    for structure, rows in found[own].groupby("condition"):
        rows = rows[rows["label"].isin(list(find_labels(cohort, str(structure))))]
        rows = rows.assign(volume=rows["j_mean"] * rows["n_fixed"])
        sums = rows.groupby(["method", "fixed_subject", "dose"])[["volume", "n_fixed"]].sum()
        change = (sums["volume"] / sums["n_fixed"]).unstack()
        true = pd.Series(change.columns - change.columns.to_numpy().mean(), change.columns)
        slope = change.mul(true).sum(axis=1) / (true**2).sum() * STRUCTURES[str(structure)][1]
        slopes[str(structure)] = slope.groupby("method").mean()
    return pd.DataFrame(slopes).mean(axis=1)


def _has_own_labels(verdict: Verdict) -> bool:
    arm = ARMS.get(_arm_of(verdict))
    return verdict.claim.measure != "dice" or (arm is not None and bool(arm.label_sets))


def _arm_of(verdict: Verdict) -> str:
    return verdict.claim.id.split(": ")[0]


def _recompute(verdict: Verdict, table: pd.DataFrame) -> float:
    """Mean over pairs of first minus second, or of how that changes from the reference."""
    claim = verdict.claim
    mine = table[(table["arm"] == _arm_of(verdict)) & (table["kind"] == "between")]
    if claim.id.endswith(FRESH):  # the last pairs of the arm
        mine = mine.merge(mine[["fixed", "moving"]].drop_duplicates().tail(verdict.n_pairs))

    def average(methods: str | Sequence[str], condition: object) -> pd.Series:
        names = [methods] if isinstance(methods, str) else list(methods)
        rows = mine[mine["condition"] == condition]
        return rows.pivot(index=PAIR, columns="method", values="again")[names].dropna().mean(axis=1)

    def gap(condition: object) -> pd.Series:
        first = average(claim.first, condition)
        return first if claim.second is None else first - average(claim.second, condition)

    found = gap(claim.condition)
    if claim.reference is not None:
        found = found - gap(claim.reference)
    return float(found.dropna().mean())
