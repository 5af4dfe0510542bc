"""Figures of the audit of version 1, once more from the published rows they rest on, beside version 2.

    python benchmarks/audit.py

"audit" quotes what was found in the results of version 1 of the rules; "again" computes it from the
registrations of that time, by the families and references of that time. Intervals are those of today,
over subjects, and a little wider than the bootstrap of then. "now" is what version 2 makes of it: its
verdict, or what its arm still lacks. Writes audit.csv beside this file. No image is needed.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, combinations, product
from pathlib import Path

import numpy as np
import pandas as pd

from lumirage_lib import stats
from lumirage_lib.book.notebooks import resolve_parameters
from lumirage_lib.errors import InputError
from lumirage_lib.experiments import EXPERIMENTS
from lumirage_lib.experiments.registry import load
from lumirage_lib.experiments.run import Run
from lumirage_lib.experiments.sentences import make_table
from lumirage_lib.methods import name_of

TABLE = Path(__file__).with_suffix(".csv")
DEEP, ITERATIVE = ("vfa", "lapirn-disp", "clapirn"), ("syn", "greedy", "fireants-greedy")
MARGIN = 0.01
COLUMNS = ["finding", "what", "audit", "again", "now"]
Row = tuple[int, str, str, str, str]


@functools.cache
def read(notebook: str) -> Run:
    return load(notebook, resolve_parameters(notebook, "open"))


def take(notebook: str, **where: str) -> pd.DataFrame:
    """Rows of a chapter's registrations."""
    table = read(notebook).registrations
    for column, value in where.items():
        table = table[table[column] == value]
    return table


@functools.cache
def judge(notebook: str) -> dict[str, str]:
    """Claim -> the verdict of version 2 with its difference, or what is lacking."""
    experiment = EXPERIMENTS[notebook]
    result = experiment.analyse(read(notebook), resolve_parameters(notebook, "open"))
    return {
        v.claim.id: f"not finished: {v.reason}"
        if v.verdict == stats.INCOMPLETE
        else f"{v.word}, {show(v)}"
        if v.word
        else v.verdict
        for v in experiment.verdicts(result)
    }


def show(found: stats.Interval | stats.Verdict) -> str:
    ends = f"{found.low:+.4f} to {found.high:+.4f}; " if np.isfinite(found.low) else ""
    return f"{found.estimate:+.4f} ({ends}{found.n_pairs} pairs)"


def change(table: pd.DataFrame, deep: Sequence[str], condition: str, reference: str) -> str:
    """What networks lose more than greedy, or that this was not run yet."""
    try:
        matched = stats.match_changes(
            table, tuple(deep), ("greedy",), condition=condition, reference=reference
        )
    except InputError:  # a method without any row of them
        return "not run yet"
    return show(stats.compute_interval(matched)) if matched.n_pairs else "not run yet"


def first_pairs(table: pd.DataFrame, n: int) -> pd.DataFrame:
    """The first pairs of a run, in the order of its plan."""
    pairs = table[["fixed", "moving"]].drop_duplicates().head(n)
    return table.merge(pairs, on=["fixed", "moving"])


def subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    return list(chain.from_iterable(combinations(names, k + 1) for k in range(len(names))))


# ---- one function a finding ----------------------------------------------------------------------


def voxel_size() -> Iterator[Row]:
    """1: greedy worked at 2 mm, the networks at their own voxels."""
    coarse, fine = (take("03_contrasts", arm=arm) for arm in ("nichart", "nichart at 1 mm"))
    now = judge("03_contrasts")["nichart at 1 mm: FLAIR"]
    for method, audit in (("clapirn", "-0.0226"), ("vfa", "-0.0156")):
        again = change(first_pairs(coarse, 14), [method], "FLAIR", "T1w")
        yield 1, f"FLAIR, {name_of(method)} minus greedy at 2 mm", audit, again, now
    for method, audit in (("clapirn", "+0.0040"), ("vfa", "+0.0111")):
        again = change(fine, [method], "FLAIR", "T1w")
        yield 1, f"FLAIR, {name_of(method)} minus greedy at 1 mm", audit, again, now


def reference() -> Iterator[Row]:
    """2: synthesised contrasts against T1w that was synthesised, too."""
    table = take("03_contrasts", arm="synthesised")
    for condition, audit in (("FLAIR", "-0.0063"), ("T2w", "-0.0139"), ("T2*w", "-0.0222")):
        again = change(table, DEEP, condition, "T1w again")
        now = judge("03_contrasts")[f"synthesised: {condition}"]
        yield 2, f"synthesised {condition} against T1w again", audit, again, now


def families() -> Iterator[Row]:
    """4: every choice of three networks and three iterative methods."""
    table, now = take("01_in_distribution", kind="between"), judge("01_in_distribution")["oasis"]
    found = [
        stats.compute_interval(stats.match_pairs(table, *sides), level=0.9)
        for sides in product(subsets(DEEP), subsets(ITERATIVE))
    ]
    low, high = (f(x.estimate for x in found) for f in (min, max))
    audit = "49 choices, -0.044 to +0.072"
    yield 4, "T1w, all choices", audit, f"{len(found)} choices, {low:+.3f} to {high:+.3f}", now
    words = Counter(
        "equal" if x.low > -MARGIN and x.high < MARGIN
        else "deep better" if x.low > MARGIN
        else "iterative better" if x.high < -MARGIN
        else "undecided"
        for x in found
    )  # fmt: skip
    order = ("deep better", "iterative better", "equal", "undecided")
    audit = "21 deep better, 9 iterative better, 8 equal, 11 undecided"
    yield 4, "T1w, words", audit, ", ".join(f"{words[w]} {w}" for w in order), now
    for what, deep, iterative, audit in (
        ("without SyN", DEEP, ITERATIVE[1:], "-0.0107"),
        ("without VFA", DEEP[1:], ITERATIVE, "+0.0241"),
        ("without both", DEEP[1:], ITERATIVE[1:], "+0.0031"),
    ):
        again = stats.compute_interval(stats.match_pairs(table, deep, iterative))
        yield 4, f"T1w, {what}", audit, show(again), now


def resolution() -> Iterator[Row]:
    """5: one generated pair, from 1 to 0.6 mm."""
    table, now = take("04_resolution", arm="template"), judge("04_resolution")["0.6 mm"]
    table = table[table["dose"].fillna(0) == 0]
    at = table.pivot(index="method", columns="condition", values=["dice", "true_error_mm"])
    name = "conditional LapIRN at 0.6 instead of 1 mm"
    lost = at.loc["clapirn@grid", ("dice", "0.6 mm")] - at.loc["clapirn@grid", ("dice", "1 mm")]
    yield 5, f"{name}, Dice", "-0.014", f"{lost:+.3f}", now
    for method, what, audit in (
        ("clapirn@grid", name, "1.66 to 1.91"),
        ("greedy", "greedy at 0.6 instead of 1 mm", "0.693 to 0.697"),
    ):
        digits = 2 if method != "greedy" else 3
        errors = [at.loc[method, ("true_error_mm", mm)] for mm in ("1 mm", "0.6 mm")]
        again = " to ".join(f"{x:.{digits}f}" for x in errors)
        yield 5, f"{what}, true error in mm", audit, again, now


def preprocessing() -> Iterator[Row]:
    """6: the paper's own two conditions, on the first six pairs."""
    table = take("05_preprocessing", arm="preprocessing, explored")
    for condition, audit in (("tight crop", "+0.0017"), ("LPS not told", "-0.009")):
        again = change(table, ["clapirn", "vfa"], condition, "standard")
        now = judge("05_preprocessing")[f"preprocessing: {condition}"]
        yield 6, f"{condition}, networks minus greedy", audit, again, now


def macaque() -> Iterator[Row]:
    """7: true size against the affine alignment alone."""
    table = take("02_macaque", kind="between", condition="true size")
    means = table.groupby("method")["dice"].mean()
    for method, audit in (("clapirn", "0.31"), ("vfa", "0.43")):
        again, start = means[method], means["affine"]
        what = f"true size, {name_of(method)} (affine alone {start:.2f})"
        yield 7, what, audit, f"{again:.2f}", judge("02_macaque")["macaque: true size"]


def structures() -> Iterator[Row]:
    """11: which structures decide between the best of either side, by pairs and by subjects."""
    rows = read("01_in_distribution").structures
    rows = rows[rows["kind"].eq("between") & rows["label_set"].eq("manual")]
    rows = rows[rows["rule"] == "nearest"]
    pair = ["fixed", "moving", "fixed_subject", "moving_subject"]
    wide = rows.pivot_table("dice", ["label", *pair], "method")
    both = wide[["lapirn-disp", "greedy"]].dropna().reset_index()
    naive, p_values, signs = [], [], []
    for _, mine in both.groupby("label"):
        difference = mine["lapirn-disp"] - mine["greedy"]
        naive.append(difference.mean() / (difference.std() / np.sqrt(len(difference))))
        columns = (mine[c].to_numpy() for c in ("lapirn-disp", "greedy", *pair[2:]))
        found = stats.compute_interval(stats.Matched(*columns))
        p_values.append(found.compute_p())
        signs.append(np.sign(found.estimate))
    ahead = [int((np.array(naive) * side > 1.96).sum()) for side in (1, -1)]
    clear = stats.holm(np.array(p_values)) < 0.05
    now = [int((clear & (np.array(signs) == side)).sum()) for side in (1, -1)]
    yield (
        11, "structures in which LapIRN (disp.) and greedy are clearly ahead",
        "19 and 17", " and ".join(map(str, ahead)), " and ".join(map(str, now)) + " after Holm over subjects",
    )  # fmt: skip


def rescans() -> Iterator[Row]:
    """12: two scans of one brain, against the affine alignment alone."""
    table = take("01_in_distribution", kind="rescan")
    wide = table.pivot(index=["fixed", "moving"], columns="method", values="dice")
    below = wide.lt(wide["affine"], axis=0)
    for method in ("clapirn", "vfa"):
        again = f"{int(below[method].sum())} of {int(wide[method].notna().sum())}"
        yield (
            12,
            f"rescans on which {name_of(method)} falls below the affine",
            "5 of 5",
            again,
            again,
        )


def folding() -> Iterator[Row]:
    """13: the best of either side, and what its fields fold."""
    table = take("01_in_distribution", kind="between")
    means = table.groupby("method")["ndv_percent"].mean()
    for method, audit in (("lapirn-disp", "0.168"), ("greedy", "0.000")):
        now = "compared at equal smoothness on page 06"
        yield 13, f"folded volume of {name_of(method)}, %", audit, f"{means[method]:.3f}", now


FINDINGS = (
    voxel_size, reference, families, resolution, preprocessing, macaque, structures, rescans, folding,
)  # fmt: skip


def compute() -> pd.DataFrame:
    return pd.DataFrame([row for find in FINDINGS for row in find()], columns=COLUMNS)


if __name__ == "__main__":
    found = compute()
    found.to_csv(TABLE, index=False)
    print(make_table(found.to_dict("records")))
