"""The numbers of notebook 09: what fields say of structures that changed, and of those that did not."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ...cohorts.atrophy import STRUCTURES, find_reached
from ...metrics import compute_inverse_consistency
from ...runs.fields import read_field
from ...runs.profiles import project_root
from ...runs.task import Task
from ..entry import Entry
from ..run import Run
from .plan import ATROPHY, BACK, COUPLES, THERE, UNCHANGED
from .volumes import measure_changes, name_structures

COUPLES_TABLE = "inverse_consistency.csv"  # in results/PROFILE, where a published run has one
SIGN = {structure: sign for structure, (_, sign) in STRUCTURES.items()}


def find_names(run: Run) -> pd.Series:
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
    untouched : DataFrame
        structure, dose, method, fixed_subject, invented: root mean square over labels, those left out
        whose true volume changes, too (:func:`lumirage_lib.cohorts.atrophy.find_reached`).
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
    invented = np.sqrt(others.groupby(by, sort=False)["square"].mean()).rename("invented")
    return changes, invented.reset_index().rename(columns={"condition": "structure"})


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


def keep_shared_pairs(registrations: pd.DataFrame) -> pd.DataFrame:
    """The completed rows of pairs that every method has under every condition it has any under."""
    done = registrations[registrations["status"] == "ok"]
    n = done.groupby(["fixed", "moving"])["key"].transform("size")
    return done[n == len(done[["condition", "method"]].drop_duplicates())]


def average_elsewhere(untouched: pd.DataFrame, shared: pd.DataFrame) -> pd.DataFrame:
    """What is invented elsewhere, mean over the subjects of :func:`keep_shared`.

    Returns
    -------
    DataFrame
        structure, dose, method, invented.
    """
    keys = ["structure", "dose", "method"]
    kept = untouched.merge(shared[[*keys, "fixed_subject"]])
    return kept.groupby(keys, sort=False)["invented"].mean().reset_index()


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
    return compare_fields(find_couples(run.entries))


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


def compare_fields(couples: Iterable[tuple[Task, Task]]) -> pd.DataFrame:
    """:func:`measure_couples` of registrations there and back, from the fields this machine has kept."""
    out = []
    for there, back in couples:
        forward, backward = (read_field(t.key) for t in (there, back))
        if forward is None or backward is None:
            continue
        cohort, pair = there.get_cohort(), there.pair
        labels = cohort.load_labels(pair.fixed, next(iter(cohort.label_sets)))
        found = compute_inverse_consistency(forward, backward, labels.data > 0, labels.spacing_mm)
        row = {"method": there.method, "fixed": pair.fixed.id, "moving": pair.moving.id}
        out.append(row | {k: found[k] for k in ("ice_mean_mm", "ice_p95_mm")})
    return pd.DataFrame(out, columns=["method", "fixed", "moving", "ice_mean_mm", "ice_p95_mm"])
