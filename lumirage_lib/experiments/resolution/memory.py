"""The first half of notebook 04: what memory networks need at which resolution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...methods import AS_GIVEN, name_of, order_of
from ...methods.networks.memory import count_tensors, whole_brain_grid
from ...runs.memory import measure_peak
from ...runs.profiles import project_root
from ...stats import count, join

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
    shape = whole_brain_grid(spacing_mm)
    predicted = {f: sum(count_tensors(network, shape, whole=f == "whole")) for f in FORMS}
    budget_mb = sum(predicted.values()) / 2
    rows = []
    for form, predicted_mb in predicted.items():
        outcome = measure_peak(network, shape, whole=form == "whole", budget_mb=budget_mb)
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
    kept = _say_kept(measured)
    worst = measured.groupby("form")["error_percent"].apply(lambda e: e.abs().max())
    errors = " and ".join(f"{worst[f]:.1f} % ({f})" for f in FORMS if f in worst)
    return (
        f"Of these, {count(len(measured), 'inference')} of {count(measured['network'].nunique(), 'network')} "
        f"down to {finest:g} mm were really run, one thread each; the prediction of the whole "
        f"process's peak is off by at most {errors}. {kept}"
    ).strip()


def _say_kept(measured: pd.DataFrame) -> str:
    """What the allocator's default adds; nothing where that was not measured."""
    both = measured.dropna(subset="default_mb") if "default_mb" in measured else measured.iloc[:0]
    if both.empty:
        return ""
    more = 100 * (both["default_mb"] / both["measured_mb"] - 1)
    return (
        "This is with freed memory handed back to the system. Left to its default, the C library "
        f"keeps some of it, and {count(len(both), 'inference')} of these took {more.min():.0f} to "
        f"{more.max():.0f} % more."
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


def select_fine(pairs: pd.DataFrame) -> pd.DataFrame:
    """Registrations in which a network worked on the voxels of the claim, failed ones included.

    One that was resampled to the voxels of its training is not among them: it never saw that grid.
    """
    as_fine = np.isclose(pairs["working_mm"].astype(float), FINE_MM)
    return pairs[as_fine & pairs["method"].str.endswith(AS_GIVEN)]


def say_ran(wall: pd.DataFrame | None, pairs: pd.DataFrame) -> str:
    """Which networks were really run at the voxel size of the claim, and what follows."""
    tried, fine = _select_tried(wall), select_fine(pairs)
    done = tried.dropna(subset="measured_mb")
    registered = fine[fine["status"] == "ok"]
    names = {*map(name_of, done["network"]), *map(name_of, registered["method"])}
    parts = [_say_inferences(done), _say_registered(registered)]
    failed = [f"{name_of(r.network)} {r.form} ({r.status})" for r in _failed(tried).itertuples()]
    failed += [f"{name_of(r.method)} ({r.status})" for r in _failed(fine).itertuples()]
    if failed:
        parts.append(f"Tried there and failed: {join(dict.fromkeys(failed))}.")
    if names:
        whom = "that network" if len(names) == 1 else "those networks"
        parts.append(f"For {whom} at least, failing to run at {FINE_MM:g} mm is no law.")
    else:
        parts.append("No network was run that fine; the numbers are predictions.")
    return " ".join(part for part in parts if part)


def _select_tried(wall: pd.DataFrame | None) -> pd.DataFrame:
    """Inferences on the grid of the claim that were run, failed ones included."""
    if wall is None or "status" not in wall:
        return pd.DataFrame(columns=["network", "form", "shape", "status", "measured_mb"])
    return wall[np.isclose(wall["spacing_mm"], FINE_MM) & wall["status"].notna()]


def _failed(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["status"] != "ok"]


def _say_inferences(done: pd.DataFrame) -> str:
    if done.empty:
        return ""
    each = [
        f"{name_of(r.network)} {'in slabs' if r.form == 'slabs' else r.form}, "
        f"{r.measured_mb / 1024:.1f} GB in {r.cpu_seconds:.0f} s"
        for r in done.itertuples()
    ]
    grid = done["shape"].iloc[0].replace("x", " × ")
    return (
        f"Really run on the whole brain's grid of {FINE_MM:g} mm, {grid}, one inference on one "
        f"processor thread each: {join(each)}."
    )


def _say_registered(done: pd.DataFrame) -> str:
    if done.empty:
        return ""
    pairs = done.drop_duplicates(["method", "fixed", "moving"])["method"].value_counts()
    each = [f"{name_of(m)} on {count(int(pairs[m]), 'pair')}" for m in order_of(pairs.index)]
    return f"Registered at {FINE_MM:g} mm on this page: {join(each)}."
