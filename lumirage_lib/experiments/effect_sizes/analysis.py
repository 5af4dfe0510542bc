"""Notebook 07: one difference, two effect sizes; on the IXI results of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from ... import stats
from ..run import Run
from .tables import load_ixi

# Cohen (1988), p. 25 f.: conventions for differences between independent groups.
WORDS = ((0.2, "negligible"), (0.5, "small"), (0.8, "medium"), (np.inf, "large"))
SOURCE = (
    "[junyuchen245/MIR](https://github.com/junyuchen245/MIR/tree/"
    "01c3618868d39a7851285e1ce27056c37af80e2a/tutorials/IXI_benchmarking/results_), Apache-2.0"
)
NAMES = {
    "mean_difference": "mean difference, Dice",
    "d_z": "paired, $d_z$",
    "g_z": "paired, Hedges-corrected",
    "d_av": "pooled, $d_{av}$",
    "g_av": "pooled, Hedges-corrected",
    "cliffs_delta": "Cliff's delta",
}


@dataclass(frozen=True)
class Result:
    """Numbers, tables and sentences of the page."""

    matched: stats.Matched
    sizes: stats.EffectSizes
    comparisons: pd.DataFrame
    answer: str
    data_text: str
    design: str
    agreement_text: str
    spread_text: str
    sizes_table: str
    correlation_text: str
    comparisons_text: str
    verdict: stats.Verdict
    power_text: str


def analyse(run: Run, parameters: Mapping) -> Result:
    """Everything the page says about two methods, and about every other two of the table.

    Parameters
    ----------
    run : Run
        Nothing is registered, so there is nothing in it.
    parameters : mapping
        Of the notebook: first, second, margin (in Dice), seed.
    """
    table = load_ixi()
    first, second, margin, seed = (parameters[n] for n in ("first", "second", "margin", "seed"))
    matched = stats.match_pairs(table, first, second)
    sizes = stats.compute_effect_sizes(matched)
    comparisons = compare_all(table, seed)
    claim = stats.Claim("ixi", "equal", "equal", first, second, margin=margin, where="on IXI")
    n_methods = table["method"].nunique()
    return Result(
        matched=matched,
        sizes=sizes,
        comparisons=comparisons,
        answer=_answer(matched, sizes, first, second),
        data_text=(
            f"The numbers are {n_methods} tables that nobody here made: {SOURCE}. Each method "
            f"registered one atlas to the same {matched.n_subjects} subjects of IXI. A subject's "
            "value is the mean Dice over the structures that are above zero for every subject and "
            "method; the small table made of them is `results/external/ixi_mir.csv`."
        ),
        design=f"{matched.n_pairs} pairs (one atlas, {matched.n_subjects} subjects).",
        agreement_text=_agreement(matched, sizes, first, second),
        spread_text=_spread(matched, sizes),
        sizes_table=_sizes_table(sizes),
        correlation_text=_correlation(sizes),
        comparisons_text=_comparisons(comparisons),
        verdict=stats.decide(claim, table),
        power_text=_power(matched),
    )


def compare_all(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Both effect sizes of every two methods.

    Returns
    -------
    DataFrame
        first, second, difference, correlation, and d_z, d_av, cliffs_delta each with _low and _high.
    """
    rows = []
    for first, second in combinations(table["method"].unique(), 2):
        matched = stats.match_pairs(table, first, second)
        sizes = stats.compute_effect_sizes(matched)
        row = {"first": first, "second": second, "difference": sizes.mean_difference.estimate}
        row["correlation"] = sizes.correlation
        for name in ("d_z", "d_av", "cliffs_delta"):
            interval = getattr(sizes, name)
            row |= {name: interval.estimate, f"{name}_low": interval.low}
            row[f"{name}_high"] = interval.high
        rows.append(row | {"n_pairs": matched.n_pairs, "n_subjects": matched.n_subjects})
    return pd.DataFrame(rows)


def name_size(d: float) -> str:
    """Cohen's word for an effect size."""
    return next(word for limit, word in WORDS if abs(d) < limit)


def _answer(matched, sizes, first: str, second: str) -> str:
    d_av, d_z = sizes.d_av.estimate, sizes.d_z.estimate
    return (
        f"**Answer.** By the formula, if it is not named. The same {matched.n_pairs} differences "
        f"between {first} and {second}, {sizes.mean_difference.estimate:+.4f} Dice on average, are "
        f"d = {d_av:.2f} ({name_size(d_av)}) over the pooled spread and d = {d_z:.2f} "
        f"({name_size(d_z)}) over the spread of the differences. Neither is wrong; they answer "
        "different questions."
    )


def _agreement(matched, sizes, first: str, second: str) -> str:
    better = int((matched.difference > 0).sum())
    ratio = np.ptp(matched.second) / abs(sizes.mean_difference.estimate)
    return (
        f"{first} is better than {second} in {better} of {matched.n_subjects} subjects, always by "
        f"little. A subject that is hard for one method is hard for the other (r = "
        f"{sizes.correlation:.3f}): the range over subjects is {ratio:.0f} times the mean "
        "difference between the methods."
    )


def _spread(matched, sizes) -> str:
    spread = np.sqrt((matched.first.var(ddof=1) + matched.second.var(ddof=1)) / 2)
    narrow = matched.difference.std(ddof=1)
    return (
        f"Above, the two means are {abs(sizes.mean_difference.estimate):.4f} Dice apart and the "
        f"subjects spread by {spread:.4f} (standard deviation): a ratio of "
        f"{abs(sizes.d_av.estimate):.2f}. Below, what is common to both methods has cancelled: the "
        f"differences spread by {narrow:.4f} only, and the same mean difference is "
        f"{abs(sizes.d_z.estimate):.2f} of that."
    )


def _sizes_table(sizes) -> str:
    lines = ["| effect size | estimate | 95 % interval over subjects |", "|---|---|---|"]
    for row in sizes.as_table().itertuples():
        digits = 4 if row.effect == "mean_difference" else 2
        lines.append(
            f"| {NAMES[row.effect]} | {row.estimate:+.{digits}f} "
            f"| {row.low:+.{digits}f} to {row.high:+.{digits}f} |"
        )
    return "\n".join(lines)


def _correlation(sizes) -> str:
    unrelated = abs(sizes.d_av.estimate) / np.sqrt(2)
    return (
        f"Had the two methods been run on different subjects, so that r = 0, the paired formula "
        f"would give {unrelated:.2f}, less than the pooled one. At the measured r = "
        f"{sizes.correlation:.3f} it gives {abs(sizes.d_z.estimate):.2f}. The mean difference is "
        "the same in both cases."
    )


def _comparisons(table: pd.DataFrame) -> str:
    paired, pooled = table["d_z"].abs(), table["d_av"].abs()
    apart = int(((paired >= 0.8) & (pooled < 0.5)).sum())
    small, large = paired.idxmax(), table["difference"].abs().idxmax()
    name = lambda k: f"{table['first'][k]} against {table['second'][k]}"  # noqa: E731
    ratio = (paired / pooled).median()
    text = (
        f"Of {len(table)} comparisons, {apart} are large by the paired formula and at most small by "
        f"the pooled one; half of the paired effect sizes are more than {ratio:.1f} times the "
        f"pooled. The largest mean difference is that of {name(large)} "
        f"({table['difference'][large]:+.4f} Dice, paired {table['d_z'][large]:+.2f})"
    )
    if small == large:
        return text + ", which has the largest paired effect size, too."
    return (
        f"{text}, but the largest paired effect size is that of {name(small)} "
        f"({table['difference'][small]:+.4f} Dice, paired {table['d_z'][small]:+.2f})."
    )


def _power(matched) -> str:
    components = stats.estimate_components(matched)
    plan = stats.plan_subjects(components, pairs_per_subject=(1,))
    seen = stats.compute_detectable_effect(components, matched.n_subjects)
    needed = ", ".join(f"{r.n_subjects} for {r.effect:g}" for r in plan.itertuples())
    return (
        "Pairing is also why few subjects suffice: with the spread of these differences, a true "
        f"difference in Dice is seen four times in five with this many subjects: {needed}. The "
        f"{matched.n_subjects} subjects here would have shown {seen:.4f}."
    )
