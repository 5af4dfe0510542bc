"""Notebook 07: one difference, two effect sizes; on the IXI results of others."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from ... import stats
from ..experiment import Result
from ..opening import Opening
from ..run import Run
from ..sentences import make_table, show, show_interval
from .tables import load_ixi, load_joint

# Cohen (1988), p. 25 f.: conventions for differences between independent groups.
WORDS = ((0.2, "negligible"), (0.5, "small"), (0.8, "medium"), (np.inf, "large"))
SOURCE = (
    "[junyuchen245/MIR](https://github.com/junyuchen245/MIR/tree/"
    "01c3618868d39a7851285e1ce27056c37af80e2a/tutorials/IXI_benchmarking/results_), Apache-2.0"
)
OTHER_SOURCE = (
    "[TransMorph's repository](https://github.com/junyuchen245/"
    "TransMorph_Transformer_for_Medical_Image_Registration/tree/"
    "6357a1d7fc44c36db9b1d1ccaa372409253142cf/IXI/Results), MIT"
)
REPORTED = (0.7, 1.5)  # Cohen's d of networks on other contrasts, abstract of Jena et al. (2026)
# Two iterative methods of one table: what separates them is no network and no contrast.
ITERATIVE_PAIR = ("deedsBCV", "SyN")
# A network and an iterative method; the network was trained on other subjects of IXI than these.
LEAK_FREE = ("VFA", "ConvexAdam-MIND")
NAMES = {
    "mean_difference": "mean difference, Dice",
    "d_z": "paired, d<sub>z</sub>",
    "g_z": "paired, corrected for small samples, g<sub>z</sub>",
    "d_av": "pooled, d<sub>av</sub>",
    "g_av": "pooled, corrected for small samples, g<sub>av</sub>",
    "cliffs_delta": "Cliff's delta",
}


def analyse(run: Run, parameters: Mapping) -> Result:
    """Everything the page says about two methods, and about every other two of the table.

    Parameters
    ----------
    run : Run
        Nothing is registered, so there is nothing in it.
    parameters : mapping
        Of the notebook: first, second, margin (in Dice), seed.
    """
    table, joint = load_ixi(), load_joint()
    first, second, margin = (parameters[n] for n in ("first", "second", "margin"))
    matched = stats.match_pairs(table, first, second)
    sizes = stats.compute_effect_sizes(matched)
    comparisons = compare_all(table)
    claim = stats.Claim("ixi", "equal", "equal", first, second, margin=margin, where="on IXI")
    n_methods = table["method"].nunique()
    baselines = compare_baselines(joint)
    leak_free = decide_leak_free(table, joint, margin)
    return Result(
        matched=matched,
        sizes=sizes,
        comparisons=comparisons,
        opening=_open(matched, sizes, comparisons, baselines, leak_free),
        data_text=(
            f"The numbers are {n_methods} tables that nobody here made: {SOURCE}. Each method "
            f"registered one atlas to the same {matched.n_subjects} subjects of IXI. A subject's "
            "value is the mean Dice over the structures that are above zero for every subject and "
            "method; the small table made of them is `results/external/ixi_mir.csv`."
        ),
        design=f"{matched.n_pairs} pairs (one atlas, {matched.n_subjects} subjects).",
        agreement_text=_agreement(matched, sizes, first, second, margin),
        spread_text=_spread(matched, sizes),
        sizes_table=_sizes_table(sizes),
        correlation_text=_correlation(sizes),
        comparisons_text=_comparisons(comparisons),
        verdict=stats.decide(claim, table),
        power_text=_power(matched),
        joint_text=_joint(joint),
        iterative_text=_iterative(joint),
        baselines=baselines,
        baselines_table=_baselines_table(baselines),
        baselines_text=_baselines(baselines),
        leak_free=leak_free,
        leak_free_table=_leak_free_table(leak_free),
        leak_free_text=_leak_free(leak_free),
    )


def compare_all(table: pd.DataFrame) -> pd.DataFrame:
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
        row |= {"correlation": sizes.correlation, **sizes.as_row("d_z", "d_av", "cliffs_delta")}
        rows.append(row | {"n_pairs": matched.n_pairs, "n_subjects": matched.n_subjects})
    return pd.DataFrame(rows)


def compare_baselines(joint: pd.DataFrame) -> pd.DataFrame:
    """The mean of all networks of both repositories against each iterative method.

    Returns
    -------
    DataFrame
        baseline, difference, low, high (95 %), ahead, behind (networks whose own mean difference
        exceeds 0.01 either way), n_networks, n_subjects.
    """
    deep = joint.loc[joint["family"] == "deep", "method"].unique().tolist()
    rows = []
    for baseline in joint.loc[joint["family"] == "iterative", "method"].unique():
        found = stats.compute_interval(stats.match_pairs(joint, deep, baseline))
        each = [stats.match_pairs(joint, d, baseline).difference.mean() for d in deep]
        row = {"baseline": baseline, **stats.as_row(found, "difference"), "n_networks": len(deep)}
        rows.append(
            row | {"ahead": sum(e > 0.01 for e in each), "behind": sum(e < -0.01 for e in each)}
        )
    return pd.DataFrame(rows).sort_values("difference", ignore_index=True)


def decide_leak_free(
    table: pd.DataFrame, joint: pd.DataFrame, margin: float
) -> dict[str, stats.Verdict]:
    """Whether a network and an iterative method are equal, by each list of structures."""
    lists = {
        "structures of every subject in MIR's tables": (table, "dice"),
        "structures of every subject in both": (joint, "dice"),
        "all, absent ones as 0": (
            joint.drop(columns="dice").rename(columns={"dice_all": "dice"}),
            "dice",
        ),
    }
    where = "on 115 test subjects of IXI"
    return {
        name: stats.decide(
            stats.Claim(
                f"IXI, {name}", "equal", "equal", *LEAK_FREE, measure=m, margin=margin, where=where
            ),
            rows,
        )
        for name, (rows, m) in lists.items()
    }


def name_size(d: float) -> str:
    """Cohen's word for an effect size."""
    return next(word for limit, word in WORDS if abs(d) < limit)


def _open(matched, sizes, comparisons, baselines, leak_free) -> Opening:
    d_av, d_z = sizes.d_av.estimate, sizes.d_z.estimate
    least, most = baselines.iloc[0], baselines.iloc[-1]
    paired, pooled = comparisons["d_z"].abs(), comparisons["d_av"].abs()
    words = {v.word for v in leak_free.values()}
    return Opening(
        f"One difference of {show(abs(sizes.mean_difference.estimate), 4)} Dice is {name_size(d_av)} "
        f"(d = {d_av:.2f}) by one formula and {name_size(d_z)} (d = {d_z:.2f}) by another; both are right.",
        (
            f"**What.** In {int(((paired >= 0.8) & (pooled < 0.5)).sum())} of {len(comparisons)} comparisons "
            "the paired effect size is large and the pooled one at most small.",
            f"**How sure.** {matched.n_subjects} people, the same for every method. A network and an "
            f"iterative method without any leak: {'; '.join(sorted(words))}.",
            "**What it depends on.** The baseline: the mean of all networks lies "
            f"{show(least['difference'], sign=True)} from one iterative method and "
            f"{show(most['difference'], sign=True)} from another.",
        ),
    )


def _agreement(matched, sizes, first: str, second: str, margin: float) -> str:
    better = int((matched.difference > 0).sum())
    matters = int((matched.difference > margin).sum())
    ratio = np.ptp(matched.second) / abs(sizes.mean_difference.estimate)
    return (
        f"{first} is better than {second} in {better} of {matched.n_subjects} subjects, by "
        f"{show(matched.difference.max())} at most and in {matters} by more than the margin of {margin:g}. A "
        f"subject that is hard for one method is hard for the other (r = "
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
    def cells(row) -> dict[str, str]:
        digits = 4 if row.effect == "mean_difference" else 2
        low, high = (show(x, digits, sign=True) for x in (row.low, row.high))
        return {
            "effect size": NAMES[row.effect],
            "estimate": show(row.estimate, digits, sign=True),
            "95 % interval over subjects": f"{low} to {high}",
        }

    return make_table(map(cells, sizes.as_table().itertuples()))


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
        f"the pooled one; the middle one of their ratios is {ratio:.1f}. The largest mean difference is that "
        f"of {name(large)} ({show(table['difference'][large], 4, sign=True)} Dice, paired "
        f"{show(table['d_z'][large], 2, sign=True)})"
    )
    if small == large:
        return text + ", which has the largest paired effect size, too."
    return (
        f"{text}, but the largest paired effect size is that of {name(small)} "
        f"({show(table['difference'][small], 4, sign=True)} Dice, paired "
        f"{show(table['d_z'][small], 2, sign=True)})."
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


# ---- both repositories ---------------------------------------------------------------------------


def _joint(joint: pd.DataFrame) -> str:
    n = joint["family"].value_counts() // joint["fixed"].nunique()
    return (
        f"{OTHER_SOURCE}, has tables of the same atlas and {joint['fixed'].nunique()} subjects by "
        f"more methods. Neither says who the subjects are; that they are the same, in the same order, "
        f"is tested: each table fits the others' better as it is than after any cyclic shift of its "
        f"rows. Together they have {n['deep']} networks and {n['iterative']} iterative methods; "
        "a subject's value is the mean over the structures that every subject has by every method "
        "(`results/external/ixi_joint.csv`)."
    )


def _iterative(joint: pd.DataFrame) -> str:
    a, b = ITERATIVE_PAIR
    sizes = stats.compute_effect_sizes(stats.match_pairs(joint, a, b))
    everything = stats.compute_effect_sizes(stats.match_pairs(joint, a, b, measure="dice_all"))
    low, high = REPORTED
    return (
        f"{a} is ahead of {b} by {sizes.mean_difference.estimate:.3f} Dice on these T1w brains. Both "
        f"are iterative, the images are what both were made for, and the paired effect size is "
        f"{sizes.d_z.estimate:.2f} ({everything.d_z.estimate:.2f} if structures that a subject lacks "
        f"count as 0), the pooled one {sizes.d_av.estimate:.2f}. The effect sizes of {low:g} to {high:g} "
        "that are reported for networks on other contrasts are smaller than that. So d does not tell a "
        "failure from a choice of baseline: which iterative method is compared with, on images that "
        "nobody calls out of distribution, weighs more. What can be compared is the difference in Dice "
        "against a margin, with the baseline named."
    )


def _baselines_table(baselines: pd.DataFrame) -> str:
    return make_table(
        {
            "iterative method": row.baseline,
            "mean of all networks minus it (95 %)": show_interval(
                row.difference, row.low, row.high
            ),
            "networks ahead by more than 0.01": f"{row.ahead} of {row.n_networks}",
            "behind by more than 0.01": f"{row.behind} of {row.n_networks}",
        }
        for row in baselines.itertuples()
    )


def _baselines(baselines: pd.DataFrame) -> str:
    least, most = baselines.iloc[0], baselines.iloc[-1]
    return (
        f"The mean of the {least['n_networks']} networks lies {show(least['difference'], sign=True)} from "
        f"{least['baseline']} and {show(most['difference'], sign=True)} from {most['baseline']}: the answer "
        "to whether networks are better on T1w is decided by the baseline."
    )


def _leak_free_table(verdicts: Mapping[str, stats.Verdict]) -> str:
    return make_table(
        {
            "mean over": name,
            f"{LEAK_FREE[0]} minus {LEAK_FREE[1]} (95 %)": show_interval(
                v.estimate, v.low, v.high, digits=4
            ),
            "word": v.word,
            "subjects": v.n_subjects,
        }
        for name, v in verdicts.items()
    )


def _leak_free(verdicts: Mapping[str, stats.Verdict]) -> str:
    a, b = LEAK_FREE
    words = {v.word for v in verdicts.values()}
    said = (
        f"by every list of structures {words.pop()}"
        if len(words) == 1
        else "by lists: " + "; ".join(f"{name}, {v.word}" for name, v in verdicts.items())
    )
    return (
        f"{a} was trained on other subjects of IXI than these, by its authors' split, and {b} on nobody: "
        f"no test image can have leaked into either. Their difference is {said}. This is the largest "
        "comparison of a network with an iterative method in this book that no leak can explain."
    )
