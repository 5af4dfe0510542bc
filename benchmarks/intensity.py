"""What the scaling of intensities costs a network, on training scans of OASIS.

    python benchmarks/intensity.py [--network clapirn]
    python benchmarks/intensity.py --levels
    python benchmarks/intensity.py --samples

Pairs of OASIS training scans, whose labels no published number rests on: Dice with the scaling that the
network declares, with minimum and maximum, and clipped at percentiles 1 and 99; beside it how far the
maximum of either scan stands above its 99th percentile. Writes intensity.csv beside this file.
With --levels it measures, instead, the distribution that the step "like_t1w" gives an image, and writes
lumirage_lib/data/t1w_levels.csv. With --samples it prints the 99th percentile of the two brains published
beside conditional LapIRN's weights, as they are and scaled to [0, 1], which methods.md compares.
About three minutes of one core; needs the images of the cohort oasis and the network's weights.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from lumirage_lib import experiments
from lumirage_lib.book import notebooks
from lumirage_lib.cohorts import get_cohort
from lumirage_lib.cohorts.sources import fetch, get_source
from lumirage_lib.images.preprocess import STANDARD, prepare_image
from lumirage_lib.images.preprocess.steps import DATA
from lumirage_lib.images.volumes import load_volume
from lumirage_lib.runs.compute import compute
from lumirage_lib.runs.task import Task

# The first two scans, whose maxima differ most, both ways, and two pairs of others.
PAIRS = (("1000", "1001"), ("1001", "1000"), ("1036", "1013"), ("1002", "1006"))  # fixed, moving
CONDITIONS = ("standard", "min-max", "percentiles 1-99")


def plan(network: str) -> list[Task]:
    """The conditions of notebook 05 on these pairs."""
    parameters = notebooks.resolve_parameters("05_preprocessing", "open")
    parameters |= {"methods": [network], "conditions": list(CONDITIONS[1:]), "n_pairs": 1}
    models = experiments.list_tasks(experiments.plan_notebook("05_preprocessing", parameters))
    scans = {scan.id: scan for scan in get_cohort("oasis").scans}
    return [
        dataclasses.replace(
            model,
            pair=dataclasses.replace(model.pair, fixed=scans[fixed], moving=scans[moving]),
        )
        for fixed, moving in PAIRS
        for model in models
    ]


def measure_headroom() -> dict[str, float]:
    """Training scan -> maximum over 99th percentile of the foreground."""
    cohort = get_cohort("oasis")
    found = {}
    for scan in cohort.scans:
        if scan.group == "train":
            data = cohort.load_image(scan).data
            found[scan.id] = float(data.max() / np.percentile(data[data > 0], 99))
    return found


def measure_levels(n_levels: int = 101) -> pd.DataFrame:
    """Mean over the training scans of every quantile of the foreground, as the preprocessing scales it."""
    cohort, found = get_cohort("oasis"), []
    for scan in cohort.scans:
        if scan.group == "train":
            data = prepare_image(cohort.load_image(scan), STANDARD).data
            found.append(np.quantile(data[data > 0], np.linspace(0, 1, n_levels)))
    quantile = np.linspace(0, 1, n_levels)
    return pd.DataFrame({"quantile": quantile, "intensity": np.mean(found, axis=0)}).round(5)


def measure_samples() -> pd.DataFrame:
    """99th percentile of the foreground of the sample brains: as published, and scaled to [0, 1]."""
    rows = []
    for name in ("image_A_fullsize", "image_B_fullsize"):
        source = get_source("cwmok/Conditional_LapIRN", f"Data/{name}.nii.gz")
        data = load_volume(fetch(source)).data
        high, span = np.percentile(data[data > 0], 99), np.ptp(data)
        scaled = (high - data.min()) / span
        rows.append({"image": name, "p99": high, "p99 of 0-1": scaled})
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="clapirn")
    parser.add_argument("--levels", action="store_true", help="measure the distribution of T1w")
    parser.add_argument("--samples", action="store_true", help="measure the sample brains")
    given = parser.parse_args()
    if given.samples:
        print(measure_samples().round(4).to_string(index=False))
        return
    if given.levels:
        measure_levels().to_csv(DATA / "t1w_levels.csv", index=False)
        return
    network = given.network
    headroom = measure_headroom()
    rows = []

    def keep(row: dict) -> None:
        if row["status"] != "ok":
            raise SystemExit(f"{row['moving']} -> {row['fixed']}: {row['status']}, {row['reason']}")
        rows.append(row | {"dice": row["measures"]["dice"]})

    with tempfile.TemporaryDirectory() as folder:
        compute(plan(network), Path(folder) / "store.sqlite", jobs=1, on_row=keep)
    table = pd.DataFrame(rows).pivot(
        index=["moving", "fixed"], columns="preprocessing", values="dice"
    )
    table = table[list(CONDITIONS)].reset_index()
    for side in ("moving", "fixed"):
        table[f"{side} maximum / p99"] = table[side].map(headroom)
    table.insert(0, "network", network)
    table.round(4).to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(table.round(4).to_string(index=False))
    low, high = min(headroom.values()), max(headroom.values())
    print(
        f"maximum over 99th percentile of {len(headroom)} training scans: {low:.2f} to {high:.2f}"
    )


if __name__ == "__main__":
    main()
