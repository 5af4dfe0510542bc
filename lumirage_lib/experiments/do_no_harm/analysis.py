"""Notebook 09: what do registrations invent where nothing changed, and do they see what did?"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ... import stats
from ...cohorts.atrophy import STRUCTURES, find_reached
from ...methods import name_of, order_of
from ...metrics import compute_inverse_consistency
from ...runs.fields import read_field
from ...runs.profiles import project_root
from ...runs.task import Task
from ..entry import Entry
from ..experiment import Result
from ..opening import Opening
from ..run import Run
from ..sentences import (
    describe_families,
    list_limits,
    list_points,
    make_table,
    show,
    show_interval,
    write_designs,
    write_state,
)
from .plan import ATROPHY, BACK, COUPLES, IDENTITY, RESCAN, THERE, UNCHANGED, VOLUMES
from .volumes import fit_doses, measure_changes, name_structures, summarise_volumes

MOST_SUBJECTS = 100_000  # of a group; what a larger number says is that there is no relation
COUPLES_TABLE = "inverse_consistency.csv"  # in results/PROFILE, where a published run has one
SIGN = {structure: sign for structure, (_, sign) in STRUCTURES.items()}


def analyse(run: Run, parameters: Mapping) -> Result:
    """Everything the page says.

    Parameters
    ----------
    run : Run
    parameters : mapping
        Of the notebook.
    """
    rows = join_structures(run)
    names = _find_names(run)
    followed, elsewhere = measure_atrophy(rows, names, parameters["cohort"])
    changes, failed = keep_shared(followed), count_failed(run.registrations)
    lines, invented = fit_doses(changes), measure_invented(rows, run.registrations)
    couples = measure_couples(run, parameters["profile"])
    volumes = summarise_volumes(name_structures(rows[rows["arm"] == VOLUMES], names))
    atrophy_text = _atrophy_text(changes, lines, failed)
    invented_text = _invented_text(invented)
    there_and_back = _couples_text(couples) if len(couples) else ""
    tables = {"atrophy": followed, "lines": lines, "elsewhere": elsewhere, "invented": invented}
    tables |= {"couples": couples, "volumes": volumes}
    return Result(
        opening=Opening(
            _headline(changes, lines, invented, failed),
            (
                f"**What.** {atrophy_text} {invented_text} {there_and_back}".strip(),
                f"**How sure.** Registered: {write_designs(run.registrations)}",
                f"**What it depends on.** {_volumes_text(volumes)}",
            ),
        ),
        state=write_state(run),
        design=write_designs(run.registrations),
        changes=changes,
        lines=lines,
        atrophy_text=f"{atrophy_text} {_elsewhere_text(elsewhere)}".strip(),
        atrophy_table=_atrophy_table(changes, lines, failed),
        invented=invented,
        invented_text=invented_text,
        invented_table=_invented_table(invented),
        couples=couples,
        couples_text=_couples_text(couples),
        couples_table=_couples_table(couples),
        volumes=volumes,
        volumes_text=_volumes_text(volumes),
        volumes_table=_volumes_table(volumes),
        limits=_limits(run),
        tables=tables,
    )


# ---- numbers -------------------------------------------------------------------------------------


def _find_names(run: Run) -> pd.Series:
    """Label -> name, of the first label set; it is the same in every arm."""
    return next(iter(run.tasks[0].get_cohort().label_sets.values()))["name"]


def join_structures(run: Run) -> pd.DataFrame:
    """Labels of the first label set, moved by nearest voxel, with every place of their registration.

    Adds `voxels`, a voxel of the moving image over one of the fixed; a measure that no row has is NaN.
    """
    first = next(iter(run.tasks[0].get_cohort().label_sets)) if run.tasks else "manual"
    structures = run.structures
    if structures.empty:
        columns = ["key", "label", "n_fixed", "n_moved", "j_mean"]
        structures = pd.DataFrame(columns=[*columns, "label_set", "rule"])
    rows = structures[
        (structures["label_set"] == first)
        & (structures["rule"] == "nearest")
        & (structures["label"] > 0)
    ]
    rows = rows.assign(j_mean=rows.get("j_mean", np.nan))
    places = run.registrations
    voxels = pd.Series(1.0, places.index)
    if {"moving_voxel_mm3", "fixed_voxel_mm3"} <= set(places):
        voxels = (places["moving_voxel_mm3"] / places["fixed_voxel_mm3"]).fillna(1.0)
    kept = ["key", "arm", "condition", "dose", "method", "family", "fixed", "moving"]
    places = places[[*kept, "fixed_subject"]].assign(voxels=voxels)
    return rows[["key", "label", "n_fixed", "n_moved", "j_mean"]].merge(places, on="key")


def measure_atrophy(
    rows: pd.DataFrame, names: pd.Series, anatomy: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What fields say of the structure that changed, and of those that the change does not reach.

    Returns
    -------
    changes : DataFrame
        structure, dose, method, family, fixed_subject, change (measured, share of the volume), true.
    elsewhere : DataFrame
        structure, dose, method, invented: root mean square over labels of a subject, those left out whose
        true volume changes, too (:func:`lumirage_lib.cohorts.atrophy.find_reached`); mean over subjects.
    """
    mine = rows[rows["arm"] == ATROPHY]
    named = name_structures(mine, names)
    by = ["condition", "dose", "method", "family", "fixed_subject"]
    changes = measure_changes(named[named["structure"] == named["condition"]], by)
    changes = changes.rename(columns={"condition": "structure"})
    changes["true"] = changes["dose"] * changes["structure"].map(SIGN).astype(float)
    reached = {(c, label) for c in mine["condition"].unique() for label in find_reached(anatomy, c)}
    touched = pd.Series([p in reached for p in zip(mine["condition"], mine["label"], strict=True)],
                        mine.index, dtype=bool)  # fmt: skip
    touched |= mine["label"].isin(named["label"]) | mine["j_mean"].isna()
    others = mine[~touched].assign(square=lambda r: (r["j_mean"] * r["voxels"] - 1) ** 2)
    by_subject = np.sqrt(others.groupby(by, sort=False)["square"].mean())
    keys = ["condition", "dose", "method"]
    elsewhere = by_subject.groupby(keys, sort=False).mean().rename("invented").reset_index()
    return changes, elsewhere.rename(columns={"condition": "structure"})


def keep_shared(changes: pd.DataFrame) -> pd.DataFrame:
    """Of each structure the subjects whose every dose every method has, of the methods that have any.

    Means over other subjects would compare the subjects.
    """
    done = changes.dropna(subset="change")
    kept = [
        mine[
            mine.groupby("fixed_subject")["change"].transform("size")
            == mine["method"].nunique() * mine["dose"].nunique()
        ]
        for _, mine in done.groupby("structure", sort=False)
    ]
    return pd.concat(kept) if kept else changes.iloc[:0]


def count_failed(registrations: pd.DataFrame) -> pd.Series:
    """Method -> how many registrations of a known change failed, and how many were tried."""
    mine = registrations[registrations["arm"] == ATROPHY].drop_duplicates("key")
    lost = mine["status"].ne("ok").groupby(mine["method"])
    return pd.Series({m: (int(v.sum()), len(v)) for m, v in lost}, dtype=object)


def measure_invented(rows: pd.DataFrame, registrations: pd.DataFrame) -> pd.DataFrame:
    """What is found between two scans of one brain, and between a scan and itself.

    Returns
    -------
    DataFrame
        condition, method, family, sd_log_j, volume (root mean square over structures of the change of
        volume that the field says; NaN where it was not measured), dice, n_pairs, n_failed.
    """
    places = registrations[registrations["arm"] == UNCHANGED]
    mine = rows[rows["arm"] == UNCHANGED]
    square = mine.assign(square=(mine["j_mean"] * mine["voxels"] - 1) ** 2)
    volume = np.sqrt(square.groupby("key")["square"].mean())
    absent = {m: np.nan for m in ("sd_log_j", "dice") if m not in places}
    places = places.assign(volume=places["key"].map(volume).astype(float), **absent)
    groups = places.groupby(["condition", "method", "family"], sort=False)
    table = groups[["sd_log_j", "volume", "dice"]].mean()
    table["n_pairs"] = groups["status"].agg(lambda s: int((s == "ok").sum()))
    table["n_failed"] = groups["status"].agg(lambda s: int((s != "ok").sum()))
    return table.reset_index()


def measure_couples(run: Run, profile: str) -> pd.DataFrame:
    """How far a point lands from itself after one registration and the reverse one.

    From the committed table of a published run, else from the fields that this machine has kept.

    Returns
    -------
    DataFrame
        method, fixed, moving, ice_mean_mm, ice_p95_mm; couples without both fields are left out.
    """
    path = project_root() / "results" / profile / COUPLES_TABLE
    if path.exists():
        return pd.read_csv(path, dtype={"fixed": str, "moving": str})
    out = []
    for there, back in find_couples(run.entries):
        fields = [read_field(task.key) for task in (there, back)]
        if fields[0] is not None and fields[1] is not None:
            out.append(measure_couple(there, fields[0], fields[1]))
    return pd.DataFrame(out, columns=["method", "fixed", "moving", "ice_mean_mm", "ice_p95_mm"])


def find_couples(entries: Iterable[Entry]) -> list[tuple[Task, Task]]:
    """Every registration there with the one back by the same method."""
    tasks = {
        (e.condition, e.task.method, e.task.pair.fixed, e.task.pair.moving): e.task
        for e in entries
        if e.arm == COUPLES
    }
    return [
        (task, tasks[BACK, method, moving, fixed])
        for (condition, method, fixed, moving), task in tasks.items()
        if condition == THERE and (BACK, method, moving, fixed) in tasks
    ]


def measure_couple(there: Task, forward: np.ndarray, backward: np.ndarray) -> dict[str, Any]:
    """A row of :func:`measure_couples`; the points are those of the fixed brain."""
    cohort, pair = there.get_cohort(), there.pair
    labels = cohort.load_labels(pair.fixed, next(iter(cohort.label_sets)))
    found = compute_inverse_consistency(forward, backward, labels.data > 0, labels.spacing_mm)
    row = {"method": there.method, "fixed": pair.fixed.id, "moving": pair.moving.id}
    return row | {k: found[k] for k in ("ice_mean_mm", "ice_p95_mm")}


# ---- sentences -----------------------------------------------------------------------------------


def _percent(value: float, digits: int = 1, *, sign: bool = False) -> str:
    return show(100 * value, digits, sign=sign) + (" %" if not pd.isna(value) else "")


def _by_family(values: pd.Series) -> str:
    """ "iterative methods 3.1 %, networks 2.0 %", from values indexed by family."""
    words = {"iterative": "iterative methods", "deep": "networks"}
    means = values.groupby(level="family").mean()
    return ", ".join(f"{words[f]} {_percent(means[f])}" for f in words if f in means.index)


def _atrophy_text(changes: pd.DataFrame, lines: pd.DataFrame, failed: pd.Series) -> str:
    """What is seen of a change and what is found without one, structure by structure; who failed."""
    lost = [
        f"{name_of(method)} failed on {n} of {stats.count(n_tried, 'registration')}"
        for method, (n, n_tried) in failed.items()
        if n
    ]
    tail = f" {stats.join(lost)}." if lost else ""
    seen = changes.dropna(subset="change")
    seen = seen[(seen["dose"] > 0) & (seen["family"] != "baseline")]
    if seen.empty:
        state = "is finished" if len(failed) else "was registered"
        return f"No known atrophy {state}, so whether change is seen stays open.{tail}"
    parts = []
    for structure, mine in seen.groupby("structure", sort=False):
        dose = mine["dose"].max()
        verb = "loss" if SIGN[structure] < 0 else "growth"
        found = mine[mine["dose"] == dose].groupby("method")["change"].mean() * SIGN[structure]
        people = stats.count(mine["fixed_subject"].nunique(), "subject")
        said = (
            f"Of a {verb} of {_percent(dose, 0)} of the {structure} ({people}), found on average, in %: "
            f"{describe_families(100 * found, 1)}"
        )
        line = lines[(lines["structure"] == structure) & (lines["family"] != "baseline")]
        if len(line):
            without = 100 * line.set_index("method")["intercept"] * SIGN[structure]
            said += f"; of it without any {verb}: {describe_families(without, 1)}"
        parts.append(said)
    return ". ".join(parts) + "." + tail


def _headline(
    changes: pd.DataFrame, lines: pd.DataFrame, invented: pd.DataFrame, failed: pd.Series
) -> str:
    """What is followed of a known change; where none was registered, what is found where nothing changed."""
    share = _find_share(changes, lines)
    if share.empty:
        _, spread = _find_spread(invented)
        found = (
            f"Where nothing changed, log Jacobians still spread (SD: {spread}). " if spread else ""
        )
        if len(failed) and all(lost == tried for lost, tried in failed):
            return f"{found}Every registration of a known loss failed."
        state = "is finished" if len(failed) else "was registered"
        return f"{found}No known loss {state} yet."
    return f"Of a known change of volume, fields show this share: {describe_families(share, 2)}."


def _find_share(changes: pd.DataFrame, lines: pd.DataFrame) -> pd.Series:
    """Method -> slope of measured on true change, mean over the same structures; from one dose, the ratio.

    What a method finds without a change is the intercept, and no part of a slope.
    """
    found = lines.rename(columns={"slope": "share"})
    if lines.empty:
        seen = changes[changes["dose"] > 0]
        found = seen.assign(share=seen["change"] / seen["true"])
    found = found[found["family"] != "baseline"].dropna(subset="share")
    by_structure = found.groupby(["method", "structure"])["share"].mean().unstack()
    return by_structure.dropna().mean(axis=1)


def _elsewhere_text(elsewhere: pd.DataFrame) -> str:
    if elsewhere.empty:
        return ""
    worst = elsewhere.loc[elsewhere["invented"].idxmax()]
    return (
        "In structures that the change does not reach, the largest invented change (root mean square over "
        f"structures) is {_percent(worst['invented'])}, by {name_of(worst['method'])} where "
        f"{_percent(worst['dose'], 0)} of the {worst['structure']} changed."
    )


def _atrophy_table(changes: pd.DataFrame, lines: pd.DataFrame, failed: pd.Series) -> str:
    if changes.empty:
        return ""
    means = changes.groupby(["structure", "method", "dose"])["change"].mean().unstack("dose")
    fitted = lines.set_index(["structure", "method"])
    rows = []
    for structure in dict.fromkeys(changes["structure"]):
        for method in order_of(changes.loc[changes["structure"] == structure, "method"]):
            row = {"structure": structure, "method": name_of(method)}
            for dose, value in means.loc[(structure, method)].items():
                title = f"true {_percent(dose, 0)}" if dose else "no change"
                row[title] = "–" if pd.isna(value) else _percent(value, sign=True)
            row["slope (95 %)"] = row["intercept"] = "–"
            if (structure, method) in fitted.index:
                line = fitted.loc[(structure, method)]
                bounds = (line[f"slope{b}"] for b in ("", "_low", "_high"))
                row["slope (95 %)"] = show_interval(*bounds, digits=2)
                row["intercept"] = _percent(line["intercept"], sign=True)
            row["failed"] = failed.get(method, (0, 0))[0]
            rows.append(row)
    return make_table(rows)


def _find_spread(invented: pd.DataFrame) -> tuple[str, str]:
    """Two images without a change, rescans where there are any, and SD log J by method; else empty."""
    between = {RESCAN: "two scans of one brain", IDENTITY: "a scan and itself"}
    for condition, what in between.items():
        rows = invented[(invented["condition"] == condition) & (invented["family"] != "baseline")]
        if spread := describe_families(rows.set_index("method")["sd_log_j"], 2):
            return what, spread
    return "", ""


def _invented_text(invented: pd.DataFrame) -> str:
    what, spread = _find_spread(invented)
    if not spread:
        return "No pair without a change was registered."
    return f"Between {what}, where nothing changed, the log Jacobian spreads by (SD, by method): {spread}."


def _invented_table(invented: pd.DataFrame) -> str:
    ordered = {m: n for n, m in enumerate(order_of(invented["method"]))}
    return make_table(
        {
            "registered": "two scans of one brain"
            if row.condition == RESCAN
            else "a scan to itself",
            "method": name_of(row.method),
            "SD log J": show(row.sd_log_j),
            "invented change of volume (RMS)": _percent(row.volume),
            "Dice": show(row.dice),
            "pairs": row.n_pairs,
            "failed": row.n_failed,
        }
        for row in sorted(
            invented.itertuples(), key=lambda r: (r.condition != RESCAN, ordered[r.method])
        )
    )


def _couples_text(couples: pd.DataFrame) -> str:
    if couples.empty:
        return (
            "Not measured: no couple of reverse registrations has kept both of its fields on this "
            "machine, and the published run has no table of them."
        )
    each = describe_families(couples.groupby("method")["ice_mean_mm"].mean(), 2)
    n = len(couples[["fixed", "moving"]].drop_duplicates())
    return (
        f"There and back again a point comes to lie so far from where it began, mean in mm over {n} couples "
        f"of pairs: {each}."
    )


def _couples_table(couples: pd.DataFrame) -> str:
    if couples.empty:
        return ""
    means = couples.groupby("method")[["ice_mean_mm", "ice_p95_mm"]].mean()
    counts = couples["method"].value_counts()
    return make_table(
        {
            "method": name_of(method),
            "mean, mm": show(means.loc[method, "ice_mean_mm"], 2),
            "95th percentile, mm": show(means.loc[method, "ice_p95_mm"], 2),
            "couples": int(counts[method]),
        }
        for method in order_of(means.index)
    )


def _volumes_text(volumes: pd.DataFrame) -> str:
    rows = volumes[volumes["family"] != "baseline"] if len(volumes) else volumes
    if not len(rows):
        return "No labels were propagated."
    # Over several contrasts the means would not be over the same methods.
    first = "T1w" if (rows["condition"] == "T1w").any() else rows["condition"].iloc[0]
    parts = []
    for structure, mine in rows[rows["condition"] == first].groupby("structure", sort=False):
        spread = mine.groupby("family")["spread"].mean()
        spread.index.name = "family"
        parts.append(f"{structure}: {_by_family(spread)}")
    return (
        f"Spread of the error of volumes by propagated labels, {first}. " + "; ".join(parts) + "."
    )


def _volumes_table(volumes: pd.DataFrame) -> str:
    ordered = {m: n for n, m in enumerate(order_of(volumes["method"]))} if len(volumes) else {}
    return make_table(
        {
            "structure": row.structure,
            "images": row.condition,
            "method": name_of(row.method),
            "bias": _percent(row.bias, sign=True),
            "spread": _percent(row.spread),
            "correlation with manual (95 %)": show(row.r, 2)
            + ("" if pd.isna(row.r) else f" ({show(row.r_low, 2)} to {show(row.r_high, 2)})"),
            "subjects a group, manual → propagated": f"{show(row.n_manual, 0)} → "
            f"{_say_needed(row.n_needed if row.r_low > 0 else np.nan)}",
            "pairs": row.n_pairs,
        }
        for row in sorted(
            volumes.itertuples(), key=lambda r: (r.structure, r.condition, ordered[r.method])
        )
    )


def _say_needed(n: float) -> str:
    """A number of subjects; above what any study has, that it is above; where nothing is known, open."""
    if pd.isna(n):
        return "open"
    return f"over {MOST_SUBJECTS:,}" if n > MOST_SUBJECTS else show(n, 0)


def _limits(run: Run) -> str:
    lines = [
        "Volumes are propagated from one atlas at a time; a study would fuse several, and its errors would "
        "be smaller for every method.",
        "Manual labels of two scans of one brain differ, too: the Dice of rescans has the raters in it.",
        "Numbers of subjects are for a difference of 5 % between two groups and take the variance of the "
        "few subjects here for that of a population. Where the correlation may be 0, the number is open.",
        *list_limits(run),
    ]
    return list_points(lines)
