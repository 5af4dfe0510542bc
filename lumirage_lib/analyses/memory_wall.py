"""The first half of notebook 04: what memory networks need at which resolution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .. import memory
from ..experiments import project_root
from ..figures.resolution import label_of
from ..figures.style import name_of, order_of
from ..stats._sentences import count

TABLE = "benchmarks/memory.csv"  # written by benchmarks/memory.py
ATTENTION = "benchmarks/attention.md"  # written by benchmarks/attention.py
FINE_MM = 0.6  # the voxel size of the claim
FORMS = ("whole", "slabs")


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


def say_need(wall: pd.DataFrame | None) -> str:
    if wall is None:
        return "The table of memory is not there; `python benchmarks/memory.py` writes it."
    need = _at(wall, FINE_MM)
    low, high = need.min(), need.max()
    return (
        f"At {FINE_MM:g} mm the {len(need)} networks are predicted to need {low['whole']:.1f} to "
        f"{high['whole']:.1f} GB whole and {low['slabs']:.1f} to {high['slabs']:.1f} GB in slabs; "
        f"most is needed by {name_of(need['whole'].idxmax())} and {name_of(need['slabs'].idxmax())}."
    )


def tabulate_need(wall: pd.DataFrame | None) -> str:
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
        shown = ("–" if c.isna().any() else f"{c['whole']:.1f} → {c['slabs']:.1f}" for c in cells)
        lines.append(f"| {name_of(network)} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def say_error(wall: pd.DataFrame | None) -> str:
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


def tabulate_failure(provoked: pd.DataFrame) -> str:
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


def say_failure(provoked: pd.DataFrame) -> str:
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


def decide(wall: pd.DataFrame | None, budgets: Sequence[float]) -> tuple[str, str]:
    """The conclusion from the smallest budget that is enough for every network, and the counts."""
    if wall is None:
        return "Whether networks run at 0.6 mm is not known: the table of memory is missing.", ""
    need = _at(wall, FINE_MM)
    n, budgets = len(need), sorted(budgets)
    enough = {f: [b for b in budgets if (need[f] <= b).all()] for f in FORMS}
    counts = (
        f"Networks that fit at {FINE_MM:g} mm, by predicted peak:\n\n| budget | whole | slabs |"
    )
    counts += "\n|---|---|---|\n"
    for b in budgets:
        fit = (need <= b).sum()
        counts += f"| {b:g} GB | {fit['whole']} of {n} | {fit['slabs']} of {n} |\n"
    if not enough["slabs"]:
        said = (
            f"At {FINE_MM:g} mm some network fits no budget here in either form: there it is a law."
        )
    elif not enough["whole"] or enough["slabs"][0] < enough["whole"][0]:
        whole = f"{enough['whole'][0]:g} GB" if enough["whole"] else "more than any budget here"
        said = (
            f"At {FINE_MM:g} mm all {n} networks are predicted to run in {enough['slabs'][0]:g} GB when "
            f"they compute in slabs, and need {whole} when they convolve whole volumes: failing there "
            "is a property of an implementation and its budget, not a law."
        )
    else:
        said = (
            f"At {FINE_MM:g} mm both forms of all {n} networks are predicted to fit "
            f"{enough['slabs'][0]:g} GB: neither a law nor an implementation stands in the way."
        )
    return said, counts + "\n"


def say_ran(pairs: pd.DataFrame) -> str:
    """Which networks were really run on a grid as fine as that of the claim."""
    fine = pairs[(pairs["working_mm"] <= FINE_MM) & pairs["method"].str.endswith("@grid")]
    done = fine[fine["status"] == "ok"]
    if done.empty:
        return "On this page no network was run that fine; the numbers are predictions."
    names = ", ".join(label_of(m) for m in order_of(done["method"]))
    return f"Really run at {done['working_mm'].min():g} mm on this page: {names}."
