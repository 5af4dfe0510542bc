"""Notebook 04: what memory a resolution takes, and what accuracy it gives."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd

from ... import stats
from ...methods import name_of, order_of
from ..comparison import adjust, list_verdicts, split_arms
from ..completeness import find_complete
from ..experiment import Result
from ..families import ARMS, CORE, choose_families, name_claim
from ..opening import Opening, say_certainty, say_together
from ..run import Run
from ..sentences import (
    describe_families,
    list_limits,
    list_points,
    make_table,
    show,
    show_interval,
    write_design,
    write_state,
)
from ..specifications import specify_arms
from . import memory
from .plan import PRIMARY, PRIMARY_MM, TEMPLATE

FINE, USUAL = f"{memory.FINE_MM:g} mm", "1 mm"
CLAIM = f"iterative methods gain from {USUAL} to {FINE}"
MEASURES = ("dice", "true_error_mm")
NAMES = {
    "oasis": "real T1w",
    "template": "generated",
    "0.6 mm": "generated, down to 1.5 mm",
    "fine 3 mm": "generated, down to 3 mm",
}


def analyse(run: Run, parameters: Mapping) -> Result:
    """Everything the page says.

    Parameters
    ----------
    run : Run
    parameters : mapping
        Of the notebook.
    """
    asked = [m for part in ("fine", "template", "oasis") for m in parameters[f"{part}_methods"]]
    wall, budgets = memory.read_wall(), parameters["budgets_gb"]
    pairs = add_working_mm(run.registrations)
    verdicts = {v.claim.id: v for v in adjust(list(decide(run, parameters["margin"]).values()))}
    finished = _leave_out_begun(pairs, verdicts)
    levels, gain = summarise_levels(finished), compute_gain(finished)
    fit_text = f"{memory.say_fit(wall, budgets)} {memory.say_nearest(wall, budgets)}".rstrip()
    gain_text = _gain_text(gain)
    ran_text = memory.say_ran(wall, pairs)
    judged = [v for v in verdicts.values() if v.verdict != stats.INCOMPLETE]
    sure = say_certainty(judged) if judged else "**How sure.**"
    tables = {"gain": gain, "levels": levels}
    tables["pairs"] = pairs.drop(columns=["hardware", "reason"], errors="ignore")
    return Result(
        opening=Opening(
            memory.say_wall(wall, budgets),
            (
                f"**What.** {_say_gain(verdicts, gain)}",
                f"{sure} {memory.say_card(wall)} {memory.say_error(wall, short=True)}",
                f"**What it depends on.** The form of computing. {fit_text}",
            ),
            tuple(verdicts.values()),
        ),
        state=write_state(run, asked),
        design=_design(pairs, parameters),
        scale_design=_design(finished[finished["arm"].isin(find_scaled(gain))], parameters),
        wall=wall,
        wall_text=memory.say_need(wall),
        need_table=memory.tabulate_need(wall),
        fit_text=fit_text,
        card_text=memory.say_card(wall),
        fit_table=memory.tabulate_fit(wall, budgets),
        error_text=memory.say_error(wall),
        ran_text=ran_text,
        levels=levels,
        levels_table=_levels_table(levels),
        gain=gain,
        gain_text=gain_text,
        gain_table=_gain_table(gain),
        verdicts=verdicts,
        specify=lambda: specify_arms(run, verdicts.values(), split_arms(run)),
        verdict_text=list_verdicts(verdicts)
        if verdicts
        else f"This run has no arm of generated brains that differ down to "
        f"{PRIMARY_MM:g} mm: no verdict.",
        limits=_limits(run),
        tables=tables if wall is None else {"memory": wall, **tables},
    )


# ---- the gain ------------------------------------------------------------------------------------


def add_working_mm(registrations: pd.DataFrame) -> pd.DataFrame:
    """`working_mm` of every registration, failed ones included; measures nobody has are NaN."""
    working = registrations["condition"].str.removesuffix(" mm").astype(float)
    absent = {m: np.nan for m in MEASURES if m not in registrations}
    return registrations.assign(working_mm=working, **absent)


def _leave_out_begun(pairs: pd.DataFrame, verdicts: Mapping[str, stats.Verdict]) -> pd.DataFrame:
    """Without the judged arm while it is not finished, and then without methods that lack pairs of it."""
    begun = any(v.verdict == stats.INCOMPLETE for v in verdicts.values())
    mine = pairs["arm"] == PRIMARY
    whole = [] if begun else find_complete(pairs[mine])
    return pairs[~mine | pairs["method"].isin(whole)]


def decide(run: Run, margin: float) -> dict[str, stats.Verdict]:
    """Whether iterative methods gain from 1 mm to the grid of the claim, on generated brains.

    Whether a network runs there is a number of GB, not a verdict. Nothing where the arm is not
    planned; unadjusted.
    """
    planned = [e for e in run.entries if e.arm == PRIMARY]
    if not {FINE, USUAL} <= {e.condition for e in planned}:
        return {}
    families = choose_families(PRIMARY, [e.task.method for e in planned])
    whole = ARMS[PRIMARY].families == families
    claim = stats.Claim(
        name_claim(PRIMARY, FINE),
        CLAIM,
        "gains",
        families.iterative,
        condition=FINE,
        reference=USUAL,
        margin=margin,
        n_pairs=ARMS[PRIMARY].n_pairs if whole else None,
        where=f"from {USUAL} to {FINE} on generated brains that differ down to {PRIMARY_MM:g} mm",
    )
    rows = run.registrations[run.registrations["arm"] == PRIMARY]
    seen = set(zip(rows["method"], rows["condition"], strict=True))
    absent = [
        f"{name_of(method)} at {condition}"
        for method in families.iterative
        for condition in (FINE, USUAL)
        if (method, condition) not in seen
    ]
    if absent or not families.iterative:
        reason = f"not run yet: {', '.join(absent) or 'any iterative method'}"
        verdict = replace(stats.not_tested(claim, reason), verdict=stats.INCOMPLETE)
    else:
        verdict = stats.decide(claim, rows)
    return {claim.id: verdict}


def summarise_levels(pairs: pd.DataFrame) -> pd.DataFrame:
    """Mean and range over pairs, of each measure, by arm, method and working voxel size.

    Of a method only the pairs that it completed at every size at which it completed any: means of
    different pairs cannot be compared.

    Returns
    -------
    DataFrame
        arm, dose, method, working_mm, measure ("dice" or "true_error_mm"), mean, low, high, n_pairs,
        n_failed. A measure that an arm does not have gives no rows.
    """
    keys = ["arm", "method", "working_mm"]
    done = pairs[pairs["status"] == "ok"]
    wanted = done.groupby(["arm", "method"])["working_mm"].transform("nunique")
    each = ["arm", "method", "fixed", "moving"]
    whole = done.groupby(each)["working_mm"].transform("nunique") == wanted
    pairs = pd.concat([done[whole], pairs[pairs["status"] != "ok"]])
    long = pairs.melt([*keys, "status"], list(MEASURES), "measure", "value")
    long = long[(long["status"] != "ok") | long["value"].notna()]
    groups = long.groupby([*keys, "measure"])
    table = groups["value"].agg(["mean", "min", "max", "count"])
    table = table.set_axis(["mean", "low", "high", "n_pairs"], axis=1)
    table["n_failed"] = groups["status"].agg(lambda s: int((s != "ok").sum()))
    known = table.reset_index()
    exact = known.loc[known["n_pairs"] > 0, ["arm", "measure"]].drop_duplicates()
    return known.merge(exact, on=["arm", "measure"])


def compute_gain(pairs: pd.DataFrame) -> pd.DataFrame:
    """Dice at every voxel size minus Dice at the next coarser one, on the same pairs.

    Returns
    -------
    DataFrame
        arm, dose, method, from_mm, to_mm, gain, low, high (95 % over subjects; NaN with fewer than
        three), n_pairs, n_subjects, n_failed. The gain is NaN where no registration was completed.
    """
    out = []
    for (arm, method), rows in pairs.groupby(["arm", "method"], sort=False):
        sizes = sorted(rows["working_mm"].unique(), reverse=True)
        for coarse, fine in pairwise(sizes):
            matched = stats.match_conditions(
                rows, method, condition=f"{fine:g} mm", reference=f"{coarse:g} mm"
            )
            row = {"arm": arm, "dose": rows["dose"].iloc[0], "method": method}
            row |= {"from_mm": coarse, "to_mm": fine, "n_pairs": 0, "n_subjects": 0}
            if matched.n_pairs:
                out.append(row | stats.as_row(stats.compute_interval(matched), "gain"))
            elif matched.n_failed:
                out.append(row | {"n_failed": matched.n_failed})
    columns = ["arm", "dose", "method", "from_mm", "to_mm", "gain", "low", "high"]
    return pd.DataFrame(out, columns=[*columns, "n_pairs", "n_subjects", "n_failed"])


def find_scaled(gain: pd.DataFrame) -> set[str]:
    """Arms of generated brains that were registered at the finest step of any: those a figure can compare."""
    scaled = gain.dropna(subset="dose")
    if scaled.empty:
        return set()
    step = scaled.loc[scaled["to_mm"].idxmin(), ["from_mm", "to_mm"]]
    return set(scaled.loc[(scaled[["from_mm", "to_mm"]] == step).all(axis=1), "arm"])


# ---- sentences -----------------------------------------------------------------------------------


def _say_gain(verdicts: Mapping[str, stats.Verdict], gain: pd.DataFrame) -> str:
    decided = [v for v in verdicts.values() if v.verdict != stats.INCOMPLETE]
    if decided:
        place = f"from {USUAL} to {FINE} on generated brains"
        return say_together({place: decided[0]}, "when going")
    return _gain_text(gain)


def _gain_text(gain: pd.DataFrame) -> str:
    """The last step of every arm: to the finest voxel size it was registered at."""
    if gain.empty:
        return "No pair was registered at two resolutions, so no gain can be said."
    last = gain.loc[gain.groupby(["arm", "method"], sort=False)["to_mm"].idxmin()]
    lost = last[last["n_pairs"] == 0]
    failed = "".join(
        f" {name_of(r.method)} completed none of {stats.count(r.n_failed, 'pair')} on "
        f"{NAMES.get(r.arm, r.arm)} at {r.to_mm:g} mm."
        for r in lost.itertuples()
    )
    last = last[last["n_pairs"] > 0]
    if last.empty:
        return failed.strip()
    if (last["n_pairs"] > 1).any():
        last = last[last["n_pairs"] > 1]  # one pair says nothing of the next
    parts = [
        f"on {NAMES.get(arm, arm)}, from {start:g} to {end:g} mm, "
        + describe_families(rows.set_index("method")["gain"], 3, CORE)
        for (arm, start, end), rows in last.groupby(["arm", "from_mm", "to_mm"], sort=False)
    ]
    return f"The last step to smaller voxels changes Dice: {'; '.join(parts)}.{failed}"


def _gain_table(gain: pd.DataFrame) -> str:
    return make_table(
        {
            "method": name_of(row.method),
            "gain in Dice (95 %)": show_interval(row.gain, row.low, row.high),
            "from → to, mm": f"{row.from_mm:g} → {row.to_mm:g}",
            "images": NAMES.get(row.arm, row.arm),
            "pairs": row.n_pairs,
            "subjects": row.n_subjects,
            "failed": row.n_failed,
        }
        for row in gain.itertuples()
    )


def _levels_table(levels: pd.DataFrame) -> str:
    rows = []
    for arm, mine in levels.groupby("arm", sort=False):
        for method in order_of(mine["method"]):
            for mm, found in mine[mine["method"] == method].groupby("working_mm"):
                means = found.set_index("measure")["mean"]
                rows.append(
                    {
                        "method": name_of(method),
                        "Dice": show(means.get("dice", np.nan)),
                        "working mm": f"{mm:g}",
                        "images": NAMES.get(arm, arm),
                        "true error mm": show(means.get("true_error_mm", np.nan)),
                        "pairs": found["n_pairs"].max(),
                        "failed": found["n_failed"].max(),
                    }
                )
    return make_table(rows)


def _design(pairs: pd.DataFrame, parameters: Mapping) -> str:
    parts = []
    for arm, rows in pairs.groupby("arm", sort=False):
        native_mm = parameters["template_mm"] if rows["cohort"].iloc[0] == TEMPLATE else 1.0
        said = f"{write_design(rows)}, labels at {native_mm:g} mm"
        parts.append(f"{NAMES.get(arm, arm)}: {said}")
    return "; ".join(parts) + "." if parts else "No pairs, no subjects."


def _limits(run: Run) -> str:
    lines = [
        "Predictions are for one processor thread and 32-bit floats. On a graphics card the tensors "
        "are the same, but its convolution library takes other workspaces.",
        "The page predicts and measures one inference. A registration also holds both images as they "
        "were read, their labels and the field on the native grid.",
        "*Whole* is our module with whole convolutions, and for VFA unfolded attention and all "
        "features of both images at once. The authors' own code may keep more, and half precision "
        "would keep less.",
        "The memory of VFA is that of its official architecture with random weights; how accurate the "
        "challenge's VFA would be at 0.6 mm is not tested, its weights are not public.",
        "Every network here was trained at 1 mm or coarser. What a network trained at 0.6 mm would "
        "gain is not measured.",
        *list_limits(run),
    ]
    if any(e.arm == TEMPLATE for e in run.entries):
        lines.append(
            "Generated brains without a fine scale differ by deformations of 9 mm and more: 0.6 mm has "
            "nothing to match there that 1 mm lacks. With one, what is gained is gained on a smooth "
            "random deformation of one brain, not on anatomy."
        )
    return list_points(lines)
