"""How well the segmenter does, what its frame costs, and what another contrast does to it.

    python benchmarks/segmenter.py [--out benchmarks/segmenter.csv]

On T1w of two IXI subjects: Dice of every class with FreeSurfer's labels, merged to the same classes; of
the first also with the whole frame instead of the margin that is used. On a patient of openms in T1w,
T2w and FLAIR, which lie on one grid: volume of every class, and Dice with what is found on T1w. Takes
11 minutes of one core.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd

from lumirage_lib.cohorts import get_cohort
from lumirage_lib.cohorts.segmented import tissue_table
from lumirage_lib.images.volumes import Volume
from lumirage_lib.methods.segment import MARGIN, SIDE, segment
from lumirage_lib.metrics import compute_overlap


def measure(image: Volume, margin: int, reference: np.ndarray | None, **what) -> tuple:
    """Labels of an image, and a table of their volumes and of their overlap with a reference."""
    start = time.process_time()
    labels = segment(image, margin)
    seconds = time.process_time() - start
    classes = tissue_table()
    ml = np.bincount(labels.ravel(), minlength=18)[classes.index] * np.prod(image.spacing_mm) / 1e3
    table = classes[["name"]].assign(**what, margin=margin, cpu_seconds=round(seconds, 1), ml=ml)
    if reference is not None:
        overlap = compute_overlap(reference, labels, list(classes.index))
        table = table.assign(dice=overlap["dice"].reindex(classes.index))
    return labels, table.reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="benchmarks/segmenter.csv")
    out = parser.parse_args().out
    tables = []
    ixi2 = get_cohort("ixi2")
    for scan in ixi2.scans:
        image, truth = ixi2.load_image(scan), ixi2.load_labels(scan, "aseg-18").data
        for margin in (MARGIN, SIDE) if scan == ixi2.scans[0] else (MARGIN,):
            what = {"scan": f"ixi2 {scan.id}", "contrast": "T1w", "against": "aseg"}
            tables.append(measure(image, margin, truth, **what)[1])
    on_t1w = None
    for contrast in ("T1w", "T2w", "FLAIR"):
        cohort = get_cohort("openms", contrast=contrast)
        scan = cohort.scans[0]
        what = {"scan": f"openms {scan.id}", "contrast": contrast, "against": "on T1w"}
        found, table = measure(cohort.load_image(scan), MARGIN, on_t1w, **what)
        on_t1w = found if on_t1w is None else on_t1w
        tables.append(table)
    result = pd.concat(tables).round({"ml": 2, "dice": 4})
    result.to_csv(out, index=False)
    groups = ["scan", "contrast", "margin"]
    print(result.groupby(groups, sort=False)[["dice", "cpu_seconds"]].mean().round(4))
    ventricles = result[result["name"].str.contains("Ventricle|Vent$")]
    print(ventricles.groupby(groups, sort=False)["ml"].sum())


if __name__ == "__main__":
    main()
