"""The first half of notebook 04: what memory networks need at which resolution."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ...methods import AS_GIVEN, name_of, order_of
from ...runs.profiles import project_root
from ...stats import count, join
from ..sentences import make_table, name_some, show

TABLE = "benchmarks/memory.csv"  # written by benchmarks/memory.py
CARD = "benchmarks/gpu.csv"  # written by benchmarks/gpu.py, on a machine with a graphics card
ATTENTION = "benchmarks/attention.md"  # written by benchmarks/attention.py
FINE_MM = 0.6  # the voxel size of the claim
FORMS = ("whole", "slabs")
FORM_WORDS = {"slabs": "computed part by part", "whole": "computed whole"}
MISSING = "The table of memory is not there; `python benchmarks/memory.py` writes it."


def read_wall() -> pd.DataFrame | None:
    """The committed table of predicted and measured memory, or None where it was not made.

    Where a graphics card was measured too, also `card`, `card_mb` (all that it must hold; NaN where
    the inference did not fit) and `card_seconds`.
    """
    path, card = project_root() / TABLE, project_root() / CARD
    if not path.exists():
        return None
    wall = pd.read_csv(path)
    return wall.merge(_read_card(card), "left") if card.exists() else wall


def _read_card(path: Path) -> pd.DataFrame:
    found = pd.read_csv(path)
    found["card_mb"] = found["reserved_mb"] + found["context_mb"]
    names = {"seconds": "card_seconds", "status": "card_status"}
    columns = ["network", "form", "spacing_mm", "card", "card_mb", *names.values()]
    return found.rename(columns=names)[columns]


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
    # Here, because they need torch, and planning does not.
    from ...methods.networks.memory import count_tensors, whole_brain_grid
    from ...runs.memory import measure_peak

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


def _at(wall: pd.DataFrame, spacing_mm: float, measure: str = "predicted_mb") -> pd.DataFrame:
    """GB by network (rows) and form (columns) at a voxel size."""
    rows = wall[np.isclose(wall["spacing_mm"], spacing_mm)]
    if measure not in rows:
        return pd.DataFrame(columns=list(FORMS), dtype=float)
    table = rows.pivot_table(measure, "network", "form") / 1024
    return table.reindex(columns=list(FORMS)).dropna(how="all")


def _need(wall: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """GB at the voxel size of the claim, and what is known of them: measured on a card, or predicted.

    Measured, what did not fit into that card needs more than any budget.
    """
    predicted = _at(wall, FINE_MM)
    if "card_mb" not in wall:
        return predicted, "predicted"
    fine = wall[np.isclose(wall["spacing_mm"], FINE_MM)]
    if fine["card"].isna().any():
        return predicted, "predicted"
    measured = _at(wall, FINE_MM, "card_mb").reindex_like(predicted).fillna(np.inf)
    return measured, f"measured on an {fine['card'].iloc[0]}"


def label(network: str) -> str:
    """Name of an architecture; VFA's is that of the official network, not of the one trained here."""
    return "VFA (official channels)" if network == "vfa" else name_of(network)


def say_need(wall: pd.DataFrame | None) -> str:
    if wall is None:
        return MISSING
    need = _at(wall, FINE_MM)
    low, high = need.min(), need.max()
    return (
        f"At {FINE_MM:g} mm the {len(need)} networks are predicted to need {low['whole']:.1f} to "
        f"{high['whole']:.1f} GB whole and {low['slabs']:.1f} to {high['slabs']:.1f} GB in slabs; "
        f"most is needed by {label(need['whole'].idxmax())} and {label(need['slabs'].idxmax())}."
    )


def tabulate_need(wall: pd.DataFrame | None) -> str:
    """Predicted peak by network and voxel size."""
    if wall is None:
        return ""
    spacings = sorted(wall["spacing_mm"].unique(), reverse=True)
    networks = order_of(wall["network"])
    by_spacing = {mm: _at(wall, mm).reindex(networks) for mm in spacings}

    def cell(mm: float, network: str) -> str:
        found = by_spacing[mm].loc[network]
        return "–" if found.isna().any() else f"{found['whole']:.1f} → {found['slabs']:.1f}"

    rows = (
        {"network": label(n)} | {f"{mm:g} mm": cell(mm, n) for mm in spacings} for n in networks
    )
    return f"Predicted peak in GB, whole → slabs:\n\n{make_table(rows)}"


def find_budget(gb: float, budgets: Sequence[float]) -> float:
    """Smallest budget that is enough; infinity where none is."""
    return min((b for b in budgets if gb <= b), default=np.inf)


def tabulate_fit(wall: pd.DataFrame | None, budgets: Sequence[float]) -> str:
    """Need of every network in either form at the voxel size of the claim, and the card it fits."""
    if wall is None:
        return ""
    need, _ = _need(wall)
    predicted, card = _at(wall, FINE_MM), _at(wall, FINE_MM, "card_mb")

    def fit(gb: float) -> str:
        budget = find_budget(gb, budgets)
        return f"{budget:g} GB" if np.isfinite(budget) else "none of these"

    def cells(network: str, form: str) -> dict[str, str]:
        gb = [show(table[form].get(network, np.nan), 1) for table in (predicted, card)]
        return {
            f"{form}, GB: predicted → on a card": " → ".join(gb),
            f"{form} fits": fit(need.loc[network, form]),
        }

    return make_table(
        {"network": label(n), **cells(n, "whole"), **cells(n, "slabs")}
        for n in order_of(need.index)
    )


def say_fit(wall: pd.DataFrame | None, budgets: Sequence[float]) -> str:
    """How many networks run in which memory, in either form."""
    if wall is None:
        return f"Whether networks run at {FINE_MM:g} mm is not known. {MISSING}"
    need, known = _need(wall)
    n, parts = len(need), []
    for form, words in (("slabs", "computing in slabs"), ("whole", "as whole volumes")):
        fits = {b: int((need[form] <= b).sum()) for b in sorted(budgets)}
        steps = [
            (b, k)
            for b, k in fits.items()
            if k and k > max((fits[x] for x in fits if x < b), default=0)
        ]
        said = join(f"{'all' if k == n else k} in {b:g} GB" for b, k in steps) if steps else "none"
        left = n - max(fits.values(), default=0)
        parts.append(f"{words}, {said}" + (f" ({left} fit none of these)" if left else ""))
    return f"Of {n} networks, {known} to fit a whole brain at {FINE_MM:g} mm: {'; '.join(parts)}."


def say_nearest(wall: pd.DataFrame | None, budgets: Sequence[float]) -> str:
    """What fills most of the memory that it is said to fit into, and where that was seen."""
    if wall is None:
        return ""
    need, known = _need(wall)
    gb = need.stack()
    budget = gb.map(lambda x: find_budget(x, budgets))
    if not np.isfinite(budget).any():
        return ""
    network, form = (gb / budget)[np.isfinite(budget)].idxmax()
    took, size = gb[network, form], budget[network, form]
    cards = set(wall["card"].dropna()) if "card" in wall else set()
    tried = any(f"{size:g}GB" in str(card).replace(" ", "") for card in cards)
    said = (
        f"Nearest to its limit comes {label(network)}, {FORM_WORDS[form]}: {took:.1f} of {size:g} GB "
        f"({100 * took / size:.0f} %), {known}"
    )
    untried = f"; no card of {size:g} GB was tried, and one may offer less than its name says"
    return f"{said}{'' if tried else untried}."


def say_wall(wall: pd.DataFrame | None, budgets: Sequence[float]) -> str:
    """The least memory in which most networks run, in either form, in one short sentence."""
    if wall is None:
        return f"How much memory networks need at {FINE_MM:g} mm was not measured."
    (need, _), largest = _need(wall), max(budgets)
    said = []
    for form, words in FORM_WORDS.items():
        fit = need[form][need[form] <= largest]
        who = f"all {len(need)}" if len(fit) == len(need) else f"{len(fit)} of {len(need)}"
        said.append(f"{who} fit into {find_budget(fit.max(), budgets):g} GB {words}" if len(fit)
                    else f"none fits into {largest:g} GB {words}")  # fmt: skip
    return f"At {FINE_MM:g} mm, networks can run: {', '.join(said)}."


def say_error(wall: pd.DataFrame | None, *, short: bool = False) -> str:
    """How far predictions were off where they could be measured; `short`: only that."""
    measured = None if wall is None else wall.dropna(subset="measured_mb")
    if measured is None or measured.empty:
        return "None of these was measured on this machine."
    finest = measured.groupby("form")["spacing_mm"].min()
    down = " and ".join(f"{finest[f]:g} mm ({f})" for f in FORMS if f in finest)
    kept = _say_kept(measured)
    worst = measured.groupby("form")["error_percent"].apply(lambda e: e.abs().max())
    errors = " and ".join(f"{worst[f]:.1f} % ({f})" for f in FORMS if f in worst)
    if short:
        return (
            f"Memory is predicted, and {count(len(measured), 'inference')} were measured on one processor "
            f"thread, down to {down}: there the prediction was off by at most {errors}."
        )
    return (
        f"Of these, {count(len(measured), 'inference')} of {count(measured['network'].nunique(), 'network')} "
        f"down to {down} were really run, one thread each; the prediction of the whole "
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


def say_card(wall: pd.DataFrame | None) -> str:
    """What a graphics card needed at the voxel size of the claim, in space and time."""
    if wall is None or "card_mb" not in wall:
        return "No graphics card was measured."
    fine = wall[np.isclose(wall["spacing_mm"], FINE_MM) & wall["card"].notna()]
    done = fine[fine["card_status"] == "ok"]
    gb, seconds = done["card_mb"] / 1024, done["card_seconds"]
    failed = [f"{label(r.network)} {r.form} ({r.card_status})" for r in fine.itertuples()
              if r.card_status != "ok"]  # fmt: skip
    ratios = 100 * (done["card_mb"] / done["predicted_mb"] - 1)
    return (
        f"On an {fine['card'].iloc[0]} {len(done)} of {count(len(fine), 'inference')} of "
        f"{count(fine['network'].nunique(), 'network')} at {FINE_MM:g} mm ran, whole and in slabs, each in "
        f"{seconds.min():.1f} to {seconds.max():.1f} s and {gb.min():.1f} to {gb.max():.1f} GB, the "
        f"driver's context included: {show(ratios.min(), 0, sign=True)} to "
        f"{show(ratios.max(), 0, sign=True)} % against what is predicted for a processor."
    ) + (f" Failed: {join(failed)}." if failed else "")


def tabulate_failure(provoked: pd.DataFrame) -> str:
    return make_table(
        {
            "network": label(row.network),
            "form": row.form,
            "grid": row.shape,
            "predicted MB": f"{row.predicted_mb:.0f}",
            "budget MB": f"{row.budget_mb:.0f}",
            "status": f"**{row.status}**",
            "measured MB": show(row.measured_mb, 0),
        }
        for row in provoked.itertuples()
    )


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
    mostly = fine.assign(ok=fine["status"] == "ok").groupby("method")["ok"].mean()
    names = {*map(label, done["network"]), *map(name_of, mostly.index[mostly > 0.5])}
    parts = [_say_inferences(done), _say_registered(registered)]
    failed = [
        f"{label(r.network)} {r.form} ({r.status})"
        for r in tried[tried["status"] != "ok"].itertuples()
    ]
    n_tried = fine["method"].value_counts()
    failed += [
        f"{name_of(method)} on {len(rows)} of {count(n_tried[method], 'pair')} ({rows['status'].iloc[0]})"
        for method, rows in fine[fine["status"] != "ok"].groupby("method")
    ]
    if failed:
        parts.append(f"Tried there and failed: {join(dict.fromkeys(failed))}.")
    if names:
        parts.append(
            f"So whether a network fails to run at {FINE_MM:g} mm depends on how it is computed."
        )
    else:
        parts.append("No network was run that fine; the numbers are predictions.")
    return " ".join(part for part in parts if part)


def _select_tried(wall: pd.DataFrame | None) -> pd.DataFrame:
    """Inferences on the grid of the claim that were run, failed ones included."""
    if wall is None or "status" not in wall:
        return pd.DataFrame(columns=["network", "form", "shape", "status", "measured_mb"])
    return wall[np.isclose(wall["spacing_mm"], FINE_MM) & wall["status"].notna()]


def _say_inferences(done: pd.DataFrame) -> str:
    if done.empty:
        return ""
    grid = done["shape"].iloc[0].replace("x", " × ")
    gigabytes, seconds = (
        " to ".join(dict.fromkeys(show(x, digits) for x in (values.min(), values.max())))
        for values, digits in ((done["measured_mb"] / 1024, 1), (done["cpu_seconds"], 0))
    )
    return (
        f"Really run on the whole brain's grid of {FINE_MM:g} mm, {grid}: "
        f"{count(len(done), 'inference')} on one processor thread each, in {gigabytes} GB and {seconds} s."
    )


def _say_registered(done: pd.DataFrame) -> str:
    if done.empty:
        return ""
    pairs = done.drop_duplicates(["arm", "method", "fixed", "moving"])["method"].value_counts()
    return (
        f"Registered at {FINE_MM:g} mm on this page: {name_some(pairs.index)} on "
        f"{count(int(pairs.max()), 'pair')}."
    )
