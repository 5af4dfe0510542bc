"""Compact tables of the published run for the explorer: one script a cohort, loaded when it is chosen.

A page opened from disk may not fetch, so each table is a call, `lumirageExplorer.add(cohort, table)`. Of
the labels, those that a cohort's mean Dice is of stand in it, moved by nearest neighbour, Dice in 8 bit.
"""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd

from lumirage_lib.book.notebooks import resolve_parameters
from lumirage_lib.cohorts import get_cohort
from lumirage_lib.errors import LumirageError
from lumirage_lib.experiments import EXPERIMENTS, plan_notebook
from lumirage_lib.methods import colour_of, family_of, name_of, order_of
from lumirage_lib.runs.profiles import notebooks_of

STEPS, NONE = 254, 255  # Dice is stored in steps of 1/254; 255: not measured
# Key in the store -> how the explorer calls it, and digits that are kept.
MEASURES = {
    "dice": ("Dice, mean over structures", 4),
    "nonpositive_percent": ("folded voxels, %", 4),
    "sd_log_j_positive": ("spread of log J (unevenness)", 3),
    "cpu_seconds": ("processor seconds", 1),
    "method_mb": ("additional memory, MB", 0),
}


def list_places(profile: str) -> pd.DataFrame:
    """Key, cohort, options and condition of every planned registration; one row a place."""
    rows = []
    for notebook in notebooks_of(profile):
        if notebook not in EXPERIMENTS:
            continue
        try:
            entries = plan_notebook(notebook, resolve_parameters(notebook, profile))
        except LumirageError:
            continue  # a source that is not here: its rows cannot be named
        for e in entries:
            place = e.condition if e.arm in ("", e.task.cohort) else f"{e.arm}: {e.condition}"
            if e.task.pair.kind != "between":
                place += f", {e.task.pair.kind}"
            if e.dose is not None:
                place += f", dose {e.dose:g}"
            rows.append((e.task.key, e.task.cohort, e.task.cohort_options, place))
    table = pd.DataFrame(rows, columns=["key", "cohort", "options", "condition"])
    return table.drop_duplicates(["key", "condition"])


def list_structures(folder: Path) -> dict[str, list[str]]:
    """Cohort -> structures in its published tables, for the cohorts with labels of their own."""
    sets = {name: get_cohort(name).label_sets for name in ("oasis", "nichart", "macaque")}
    found = pd.read_parquet(folder / "structures.parquet", columns=["label_set", "label"])
    found = found.drop_duplicates().groupby("label_set")["label"].agg(set)
    return {
        cohort: sorted(
            str(table.loc[label, "name"]) for label in table.index if label in found[first]
        )
        for cohort, (first, table) in ((c, next(iter(s.items()))) for c, s in sets.items())
    }


def read_rows(folder: Path) -> pd.DataFrame:
    """Published registrations that ended well, the measures of the explorer as columns."""
    table = pd.read_parquet(folder / "registrations.parquet").query("status == 'ok'")
    measures = pd.DataFrame(table["measures"].map(json.loads).tolist(), index=table.index)
    measures["nonpositive_percent"] = 100 * measures["nonpositive_fraction"]
    wanted = [m for m in MEASURES if m in measures]
    return table.drop(columns=["measures", "cohort"]).join(measures[wanted])


def make_table(name: str, rows: pd.DataFrame, structures: pd.DataFrame, cases: dict) -> dict:
    """What the explorer needs of one cohort.

    Parameters
    ----------
    rows : DataFrame
        One row a place: columns of the registrations, with condition and options.
    structures : DataFrame
        Key, label, Dice of all its registrations, of one label set and rule.
    cases : dict
        Of the viewer, so that a pair that it shows is linked.
    """
    cohort = get_cohort(name, **dict(rows["options"].iloc[0]))
    names = next(iter(cohort.label_sets.values()))["name"]
    labels = [label for label in names.index if label in set(structures["label"])]
    methods = order_of(rows["method"].unique())
    pairs = list(dict.fromkeys(zip(rows["moving"], rows["fixed"], strict=True)))
    conditions = list(dict.fromkeys(rows["condition"]))
    wide = structures.pivot_table(index="key", columns="label", values="dice", dropna=False)
    wide = wide.reindex(index=rows["key"].unique(), columns=labels)
    place = {key: i for i, key in enumerate(wide.index)}
    steps = np.where(wide.isna(), NONE, np.round(wide.fillna(0) * STEPS)).astype(np.uint8)
    shown = {}
    for case, about in cases.items():
        if about["cohort"] == name:
            shown[f"{about['contrast']}|{'|'.join(about['pair'])}"] = case
    return {
        "title": cohort.title,
        "conditions": conditions,
        "methods": [
            {"id": m, "name": name_of(m), "family": family_of(m), "colour": colour_of(m)}
            for m in methods
        ],
        "pairs": pairs,
        "subjects": dict(zip(rows["moving"], rows["moving_subject"], strict=True))
        | dict(zip(rows["fixed"], rows["fixed_subject"], strict=True)),
        "structures": [str(names[label]) for label in labels],
        "cases": shown,
        "rows": {
            "condition": [conditions.index(c) for c in rows["condition"]],
            "method": [methods.index(m) for m in rows["method"]],
            "pair": [pairs.index(p) for p in zip(rows["moving"], rows["fixed"], strict=True)],
            "dice_row": [place[key] for key in rows["key"]],
            **{
                m: [None if pd.isna(v) else round(float(v), digits) for v in rows[m]]
                for m, (_, digits) in MEASURES.items()
                if m in rows
            },
        },
        "dice": base64.b64encode(gzip.compress(steps.tobytes(), 9, mtime=0)).decode(),
    }


def write_tables(folder: Path, out: Path, cases: dict) -> None:
    """Write ``cohorts.js``, the list, and ``COHORT.js`` for each cohort of a published run."""
    out.mkdir(parents=True, exist_ok=True)
    rows = list_places(folder.name).merge(read_rows(folder), on="key")
    first = {
        name: next(iter(get_cohort(name, **dict(options)).label_sets))
        for name, options in rows.drop_duplicates("cohort")[["cohort", "options"]].itertuples(
            index=False
        )
    }
    columns = ["key", "label_set", "rule", "label", "dice"]
    structures = pd.read_parquet(
        folder / "structures.parquet",
        columns=columns,
        filters=[("rule", "==", "nearest"), ("label_set", "in", list(set(first.values())))],
    )
    titles = {}
    for name, group in rows.groupby("cohort", sort=True):
        own = structures[
            (structures["label_set"] == first[name]) & structures["key"].isin(group["key"])
        ]
        table = make_table(name, group, own, cases)
        titles[name] = f"{name}: {table['title']}"
        text = json.dumps(table, separators=(",", ":"))
        (out / f"{name}.js").write_text(f"lumirageExplorer.add({json.dumps(name)},{text});\n")
    about = {"cohorts": titles, "measures": {m: label for m, (label, _) in MEASURES.items()}}
    (out / "cohorts.js").write_text(f"window.lumirageCohorts={json.dumps(about)};\n")
