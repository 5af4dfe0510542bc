"""Notebook 04: what memory a resolution takes, and what accuracy it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .. import memory
from ..experiments import Run, project_root
from ..figures.resolution import label_of
from ..figures.style import name_of, order_of
from ..plans.preprocessing import split_methods
from ..plans.resolution import studies
from ..preprocess import STANDARD
from ..stats._sentences import count

TABLE = "benchmarks/memory.csv"  # written by benchmarks/memory.py
ATTENTION = "benchmarks/attention.md"  # written by benchmarks/attention.py
FINE_MM = 0.6  # the voxel size of the claim
FORMS = ("whole", "slabs")


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
    failure_table: str
    failure_text: str
    gain: pd.DataFrame
    gain_text: str
    gain_table: str
    verdict_text: str
    limits: str
    tables: dict[str, pd.DataFrame]


def analyse(run: Run, provoked: pd.DataFrame, parameters: Mapping) -> Result:
    """Everything the page says.

    Parameters
    ----------
    run : Run
    provoked : DataFrame
        Of :func:`provoke_failure`.
    parameters : mapping
        Of the notebook.
    """
    wall = read_wall()
    pairs = add_working_mm(run.registrations, parameters)
    gain = summarise_gain(pairs)
    gain_text = _gain_text(pairs, parameters["margin"])
    verdict = _verdict(wall, pairs, parameters["budgets_gb"])
    tables = {"gain": gain, "pairs": pairs.drop(columns=["hardware", "reason"], errors="ignore")}
    return Result(
        answer=f"**Answer.** {verdict} {gain_text}",
        state=_state(run, pairs, parameters),
        design=_design(pairs),
        wall=wall,
        wall_text=_wall_text(wall),
        wall_table=_wall_table(wall),
        error_text=_error_text(wall),
        failure_table=_failure_table(provoked),
        failure_text=_failure_text(provoked),
        gain=gain,
        gain_text=gain_text,
        gain_table=_gain_table(gain),
        verdict_text=verdict,
        limits=_limits(pairs),
        tables=tables if wall is None else {"memory": wall, **tables},
    )


# ---- the wall ------------------------------------------------------------------------------------


def read_wall() -> pd.DataFrame | None:
    """The committed table of predicted and measured memory, or None where it was not made."""
    path = project_root() / TABLE
    return pd.read_csv(path) if path.exists() else None


def read_attention() -> str:
    """What the benchmark of attention found, in words and rows; one sentence where it was not run."""
    path = project_root() / ATTENTION
    if path.exists():
        return path.read_text()
    return "The benchmark was not run; `python benchmarks/attention.py` writes its table."


def provoke_failure(network: str, spacing_mm: float) -> pd.DataFrame:
    """Run both forms of a network under a budget between their predicted needs.

    Returns
    -------
    DataFrame
        Rows "whole" and "slabs": network, shape, budget_mb, predicted_mb (both of the inference,
        without the process), status, reason, measured_mb (NaN where it failed).
    """
    shape = memory.whole_brain_grid(spacing_mm)
    needs = {f: sum(memory.count_tensors(network, shape, whole=f == "whole")) for f in FORMS}
    budget_mb = sum(needs.values()) / 2
    rows = []
    for form, predicted_mb in needs.items():
        outcome = memory.measure_peak(network, shape, whole=form == "whole", budget_mb=budget_mb)
        done = outcome.status == "ok"
        rows.append(
            {
                "network": network,
                "form": form,
                "shape": "x".join(map(str, shape)),
                "predicted_mb": predicted_mb,
                "budget_mb": budget_mb,
                "status": outcome.status,
                "reason": outcome.reason,
                "measured_mb": outcome.value.method_mb if done else np.nan,
            }
        )
    return pd.DataFrame(rows)


def _at(wall: pd.DataFrame, spacing_mm: float) -> pd.DataFrame:
    """GB by network (rows) and form (columns) at a voxel size."""
    rows = wall[np.isclose(wall["spacing_mm"], spacing_mm)]
    table = rows.pivot_table("predicted_mb", "network", "form") / 1024
    return table.reindex(columns=list(FORMS)).dropna()


def _wall_text(wall: pd.DataFrame | None) -> str:
    if wall is None:
        return "The table of memory is not there; `python benchmarks/memory.py` writes it."
    need = _at(wall, FINE_MM)
    low, high = need.min(), need.max()
    return (
        f"At {FINE_MM:g} mm the {len(need)} networks are predicted to need {low['whole']:.1f} to "
        f"{high['whole']:.1f} GB whole and {low['slabs']:.1f} to {high['slabs']:.1f} GB in slabs; "
        f"most is needed by {name_of(need['whole'].idxmax())} and {name_of(need['slabs'].idxmax())}."
    )


def _wall_table(wall: pd.DataFrame | None) -> str:
    if wall is None:
        return ""
    spacings = sorted(wall["spacing_mm"].unique(), reverse=True)
    lines = [
        "Predicted peak in GB, whole → slabs:\n",
        "| network | " + " | ".join(f"{mm:g} mm" for mm in spacings) + " |",
        "|---" * (len(spacings) + 1) + "|",
    ]
    networks = order_of(wall["network"])
    by_spacing = {mm: _at(wall, mm).reindex(networks) for mm in spacings}
    for network in networks:
        cells = (by_spacing[mm].loc[network] for mm in spacings)
        shown = (f"{c['whole']:.1f} → {c['slabs']:.1f}" for c in cells)
        lines.append(f"| {name_of(network)} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def _error_text(wall: pd.DataFrame | None) -> str:
    measured = None if wall is None else wall.dropna(subset="measured_mb")
    if measured is None or measured.empty:
        return "None of these was measured on this machine."
    finest = measured["spacing_mm"].min()
    worst = measured.groupby("form")["error_percent"].apply(lambda e: e.abs().max())
    errors = " and ".join(f"{worst[f]:.1f} % ({f})" for f in FORMS if f in worst)
    return (
        f"Of these, {count(len(measured), 'inference')} of {measured['network'].nunique()} networks "
        f"down to {finest:g} mm were really run, one thread each; the prediction of the whole "
        f"process's peak is off by at most {errors}."
    )


def _failure_table(provoked: pd.DataFrame) -> str:
    lines = [
        "| network | form | grid | predicted MB | budget MB | status | measured MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in provoked.itertuples():
        measured = "–" if np.isnan(row.measured_mb) else f"{row.measured_mb:.0f}"
        lines.append(
            f"| {name_of(row.network)} | {row.form} | {row.shape} | {row.predicted_mb:.0f} "
            f"| {row.budget_mb:.0f} | **{row.status}** | {measured} |"
        )
    return "\n".join(lines)


def _failure_text(provoked: pd.DataFrame) -> str:
    status = provoked.set_index("form")["status"]
    failed = provoked[provoked["status"] != "ok"]
    reasons = " ".join(f"{r.form.capitalize()}: {r.reason}." for r in failed.itertuples())
    if status["whole"] != "ok" and status["slabs"] == "ok":
        return (
            f"The same network, weights and images: whole it fails, in slabs it runs. {reasons} A "
            "registration that fails like this is a row with its status and reason in every table "
            "of this book, never a gap."
        )
    return f"The two forms did not part at this budget. {reasons}"


def _verdict(wall: pd.DataFrame | None, pairs: pd.DataFrame, budgets: Sequence[float]) -> str:
    if wall is None:
        return "Whether networks run at 0.6 mm is not known here: the table of memory is missing."
    need = _at(wall, FINE_MM)
    n = len(need)
    enough = {f: [b for b in sorted(budgets) if (need[f] <= b).all()] for f in FORMS}
    counts = "; ".join(
        f"{b:g} GB: {int((need['whole'] <= b).sum())} of {n} whole, "
        f"{int((need['slabs'] <= b).sum())} of {n} in slabs"
        for b in sorted(budgets)
    )
    if not enough["slabs"]:
        said = "For some network no budget here is enough in either form: there it is a law."
    elif not enough["whole"] or enough["slabs"][0] < enough["whole"][0]:
        whole = f"needs {enough['whole'][0]:g} GB" if enough["whole"] else "fits none of them"
        said = (
            f"In slabs every network fits {enough['slabs'][0]:g} GB, whole the largest {whole}: "
            f"failing at {FINE_MM:g} mm is a property of an implementation and its budget, not a law."
        )
    else:
        said = (
            f"Both forms of every network fit {enough['slabs'][0]:g} GB: at {FINE_MM:g} mm neither a "
            "law nor an implementation stands in the way."
        )
    return f"Networks that fit at {FINE_MM:g} mm, by predicted peak: {counts}. {said} {_ran(pairs)}"


def _ran(pairs: pd.DataFrame) -> str:
    """Which networks were really run on a grid as fine as that of the claim."""
    fine = pairs[(pairs["working_mm"] <= FINE_MM) & pairs["method"].str.endswith("@grid")]
    done = fine[fine["status"] == "ok"]
    if done.empty:
        return "On this page no network was run that fine; the numbers are predictions."
    names = ", ".join(label_of(m) for m in order_of(done["method"]))
    return f"Really run at {done['working_mm'].min():g} mm on this page: {names}."


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
            f"{label_of(method)} on {cohort} {word} {gain.mean():+.3f} "
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
                    f"| {cohort} | {label_of(method)} | {mm:g} | {rows['n_pairs'].max()} "
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
            lines += [f"{label_of(m)} is left out on {prefix}: {w}." for m, w in absent.items()]
    return " ".join(lines)


def _limits(pairs: pd.DataFrame) -> str:
    lines = [
        "- Predictions are for one processor thread and 32-bit floats. On a graphics card the tensors "
        "are the same, but its convolution library takes other workspaces.",
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
