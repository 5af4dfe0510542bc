"""Notebook 04: what memory a resolution takes, and what accuracy it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ... import stats
from ...images.preprocess import STANDARD
from ...methods import name_of, order_of
from ...stats import count
from ..choice import split_methods
from ..run import Run
from . import memory
from .plan import studies


@dataclass(frozen=True)
class Result:
    """Sentences, tables and figure data of the page; every number in them is computed."""

    answer: str
    state: str
    design: str
    wall: pd.DataFrame | None
    wall_text: str
    wall_table: str
    error_text: str
    gain: pd.DataFrame
    gain_text: str
    gain_table: str
    verdict_text: str
    verdicts: list[stats.Verdict]
    limits: str
    tables: dict[str, pd.DataFrame]


def analyse(run: Run, parameters: Mapping) -> Result:
    """Everything the page says.

    Parameters
    ----------
    run : Run
    parameters : mapping
        Of the notebook.
    """
    wall = memory.read_wall()
    pairs = add_working_mm(run.registrations, parameters)
    gain = summarise_gain(pairs)
    gain_text = _gain_text(pairs, parameters["margin"])
    conclusion, counts = memory.decide(wall, parameters["budgets_gb"])
    ran = memory.say_ran(wall, pairs)
    tables = {"gain": gain, "pairs": pairs.drop(columns=["hardware", "reason"], errors="ignore")}
    return Result(
        answer=f"**Answer.** {conclusion} {ran} {gain_text}",
        state=_state(run, pairs, parameters),
        design=_design(pairs),
        wall=wall,
        wall_text=memory.say_need(wall),
        wall_table=memory.tabulate_need(wall),
        error_text=memory.say_error(wall),
        gain=gain,
        gain_text=gain_text,
        gain_table=_gain_table(gain),
        verdict_text=f"{counts} {conclusion} {ran}".strip(),
        verdicts=decide(pairs),
        limits=_limits(pairs),
        tables=tables if wall is None else {"memory": wall, **tables},
    )


def decide(pairs: pd.DataFrame) -> list[stats.Verdict]:
    """Whether iterative methods gain from 1 mm to the grid of the claim, on generated brains.

    Whether a network runs there is a number of GB, not a verdict.
    """
    fine, usual = f"{memory.FINE_MM:g} mm", "1 mm"
    table = pairs[pairs["cohort"] == "template"].rename(columns={"preprocessing": "condition"})
    if not {fine, usual} <= set(table.loc[table["family"] == "iterative", "condition"]):
        return []
    claim = stats.Claim(
        "resolution",
        f"iterative methods gain from {usual} to {fine}",
        "gains",
        "iterative",
        condition=fine,
        reference=usual,
        where=f"from {usual} to {fine} on generated brains",
    )
    return [stats.decide(claim, table)]


# ---- the gain ------------------------------------------------------------------------------------


def add_working_mm(registrations: pd.DataFrame, parameters: Mapping) -> pd.DataFrame:
    """`native_mm` and `working_mm` of every registration, failed ones included."""
    native = {cohort.name: mm for cohort, _, _, mm in studies(parameters)}
    table = registrations.assign(native_mm=registrations["cohort"].map(native))
    named = pd.to_numeric(table["preprocessing"].str.removesuffix(" mm"), errors="coerce")
    at_native = table["preprocessing"] == STANDARD.name
    return table.assign(working_mm=named.where(~at_native, table["native_mm"]))


def summarise_gain(pairs: pd.DataFrame) -> pd.DataFrame:
    """Mean and range over pairs, of each measure, by cohort, method and working voxel size.

    Columns cohort, native_mm, method, working_mm, measure ("dice" or "true_error_mm"), mean, low,
    high, n_pairs, n_failed. A measure that a cohort does not have gives no rows.
    """
    keys = ["cohort", "native_mm", "method", "working_mm"]
    measures = [m for m in ("dice", "true_error_mm") if m in pairs]
    long = pairs.melt([*keys, "status"], measures, "measure", "value")
    long = long[(long["status"] != "ok") | long["value"].notna()]
    groups = long.groupby([*keys, "measure"])
    table = groups["value"].agg(["mean", "min", "max", "count"])
    table = table.set_axis(["mean", "low", "high", "n_pairs"], axis=1)
    table["n_failed"] = groups["status"].agg(lambda s: int((s != "ok").sum()))
    known = table.reset_index()
    exact = known.loc[known["n_pairs"] > 0, ["cohort", "measure"]].drop_duplicates()
    return known.merge(exact, on=["cohort", "measure"])


def _gain_text(pairs: pd.DataFrame, margin: float) -> str:
    """Finest against each coarser voxel size, on the same pairs."""
    parts = []
    for (cohort, method), rows in pairs[pairs["status"] == "ok"].groupby(["cohort", "method"]):
        wide = rows.pivot_table("dice", ["fixed", "moving"], "working_mm")
        both = wide.dropna()
        if wide.shape[1] < 2 or both.empty:
            continue
        finest, coarsest = wide.columns.min(), wide.columns.max()
        gain = both[finest] - both[coarsest]
        word = "gains" if gain.mean() > margin else "loses" if gain.mean() < -margin else "keeps"
        parts.append(
            f"{name_of(method)} on {cohort} {word} {gain.mean():+.3f} "
            f"({gain.min():+.3f} to {gain.max():+.3f}) from {coarsest:g} to {finest:g} mm"
        )
    if not parts:
        return "No pair was registered at two resolutions, so no gain can be said."
    return (
        f"Dice at native labels, mean and range over pairs, a change of more than {margin:g} called "
        "a gain or a loss: " + "; ".join(parts) + "."
    )


def _gain_table(gain: pd.DataFrame) -> str:
    lines = [
        "| cohort | method | working mm | pairs | failed | Dice | true error mm |",
        "|---|---|---|---|---|---|---|",
    ]
    for cohort, mine in gain.groupby("cohort"):
        for method in order_of(mine["method"]):
            for mm, rows in mine[mine["method"] == method].groupby("working_mm"):
                values = rows.set_index("measure")["mean"]
                cells = (values.get(m, np.nan) for m in ("dice", "true_error_mm"))
                shown = ("–" if np.isnan(v) else f"{v:.3f}" for v in cells)
                lines.append(
                    f"| {cohort} | {name_of(method)} | {mm:g} | {rows['n_pairs'].max()} "
                    f"| {rows['n_failed'].max()} | " + " | ".join(shown) + " |"
                )
    return "\n".join(lines)


def _design(pairs: pd.DataFrame) -> str:
    parts = []
    for cohort, rows in pairs.groupby("cohort"):
        n = len(rows[["fixed", "moving"]].drop_duplicates())
        subjects = len({*rows["fixed_subject"], *rows["moving_subject"]})
        parts.append(
            f"{cohort}: {count(n, 'ordered pair')} of {count(subjects, 'subject')}, labels at "
            f"{rows['native_mm'].iloc[0]:g} mm"
        )
    return "; ".join(parts) + "." if parts else "No pairs, no subjects."


def _state(run: Run, pairs: pd.DataFrame, parameters: Mapping) -> str:
    lines = []
    if len(pairs) < len(run.tasks):
        lines.append(
            f"This run is not complete: {len(pairs)} of {len(run.tasks)} registrations are in."
        )
    for prefix in ("template", "oasis"):
        if parameters[f"{prefix}_pairs"]:
            absent = split_methods(parameters[f"{prefix}_methods"])[1]
            lines += [f"{name_of(m)} is left out on {prefix}: {w}." for m, w in absent.items()]
    return " ".join(lines)


def _limits(pairs: pd.DataFrame) -> str:
    lines = [
        "- Predictions are for one processor thread and 32-bit floats. On a graphics card the tensors "
        "are the same, but its convolution library takes other workspaces.",
        "- The page predicts and measures one inference. A registration also holds both images as they "
        "were read, their labels and the field on the native grid.",
        "- *Whole* is our module with whole convolutions, and for VFA unfolded attention and all "
        "features of both images at once. The authors' own code may keep more, and half precision "
        "would keep less.",
        "- Every network here was trained at 1 mm or coarser. What a network trained at 0.6 mm would "
        "gain is not measured.",
    ]
    if "template" in set(pairs["cohort"]):
        lines.append(
            "- The generated cohort is one brain under smooth deformations: fine resolution has little "
            "anatomy to match there that coarse resolution lacks."
        )
    return "\n".join(lines)
