"""Checks behind notebook 03, written beside the published run.

    python benchmarks/contrasts.py [fusion] [alignment] [levels] [--tested 3]

fusion: leave-one-out Dice of the label fusion. alignment: FLAIR on T1w before and after. levels: tissues
in real and synthesised contrasts. None named: all three.

Needs the images of the cohorts oasis, openms and nichart. About eight minutes of one core for "fusion",
and for "levels" where the labels of openms are not in the cache yet; two for "alignment".
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import scipy

from lumirage_lib.cohorts import get_cohort
from lumirage_lib.cohorts.fused import get_atlases, load_atlas
from lumirage_lib.cohorts.nichart import check_alignment
from lumirage_lib.cohorts.openms import FILES
from lumirage_lib.experiments.contrasts.checks import FILES as CHECKS
from lumirage_lib.images.contrast import CONTRASTS, TISSUES
from lumirage_lib.images.fusion import Register, carry_atlases, fuse, vote
from lumirage_lib.images.volumes import Volume
from lumirage_lib.methods.atlases import register_atlas
from lumirage_lib.methods.tools import TOOLS
from lumirage_lib.metrics import compute_overlap
from lumirage_lib.runs.profiles import load_profile, project_root


def measure_fusion(n_atlases: int, tested: int) -> pd.DataFrame:
    scans = {scan.id: scan for scan in get_atlases(n_atlases)}
    return compute_quality(list(scans), lambda id: load_atlas(scans[id]), list(scans)[:tested])


def compute_quality(
    scans: Sequence[str],
    load: Callable[[str], tuple[Volume, Sequence[Volume]]],
    tested: Sequence[str],
    *,
    register: Register = register_atlas,
) -> pd.DataFrame:
    """Leave-one-out: labels of a scan fused from the others, against its own.

    Parameters
    ----------
    scans : sequence of str
        All atlases.
    load : callable
        Scan id -> image and label maps; the first is the one that is scored.
    tested : sequence of str
        Those left out in turn.

    Returns
    -------
    DataFrame
        scan, rule ("joint fusion", "majority vote", "one atlas": the mean over single atlases), dice
        (mean over the labels of the scan; a label that was lost counts 0), n_labels, n_atlases.
    """
    rows = []
    for scan in tested:
        target, (truth, *_) = load(scan)
        others = [s for s in scans if s != scan]
        images, (labels, *rest) = carry_atlases(target, [load(s) for s in others], register)
        ids = [int(v) for v in np.unique(truth.data) if v > 0]
        flat = np.where(target.data > 0, labels, 0).reshape(len(others), -1)
        majority = vote(flat, np.ones((len(others), 1), np.float32)).reshape(target.shape)

        def dice(found: np.ndarray, truth=truth, ids=ids) -> float:
            return float(compute_overlap(truth.data, found, ids)["dice"].fillna(0).mean())

        values = {
            "joint fusion": dice(fuse(target, images, [labels, *rest])[0]),
            "majority vote": dice(majority),
            "one atlas": float(np.mean([dice(one) for one in labels])),
        }
        common = {"scan": scan, "n_labels": len(ids), "n_atlases": len(others)}
        rows += [{**common, "rule": rule, "dice": value} for rule, value in values.items()]
    return pd.DataFrame(rows)[["scan", "rule", "dice", "n_labels", "n_atlases"]]


def measure_contrast(image: np.ndarray, tissues: np.ndarray) -> pd.DataFrame:
    """Median and spread of each tissue, away from its border, and the contrasts between them.

    Parameters
    ----------
    image, tissues : ndarray, shape (X, Y, Z)

    Returns
    -------
    DataFrame
        One row per tissue: median (the brightest tissue 1), sd (robust, of the same scale), n_voxels,
        rank (1 brightest), cnr_grey (contrast to grey matter over the pooled sd; 0 for itself). A
        tissue without inner voxels has NaN.
    """
    rows = []
    for label, name in enumerate(TISSUES, 1):
        inner = scipy.ndimage.binary_erosion(tissues == label)
        values = image[inner] if inner.any() else np.array([np.nan])
        low, median, high = np.percentile(values, [25, 50, 75])
        rows.append(
            {"tissue": name, "median": median, "sd": (high - low) / 1.349, "n": int(inner.sum())}
        )
    table = pd.DataFrame(rows).rename(columns={"n": "n_voxels"})
    table[["median", "sd"]] /= table["median"].max()
    grey = table.iloc[1]
    pooled = np.sqrt((table["sd"] ** 2 + grey["sd"] ** 2) / 2)
    return table.assign(
        rank=table["median"].rank(ascending=False),
        cnr_grey=(table["median"] - grey["median"]) / pooled.where(pooled > 0),
    )


def measure_levels(n_atlases: int) -> pd.DataFrame:
    """Tissues of three patients in real contrasts, of three test subjects in synthesised ones."""
    tables = []

    def add(cohort, scan, source: str, condition: str) -> None:
        if cohort.prepare is not None:
            cohort.prepare(scan, TOOLS)
        tissues = cohort.load_labels(scan, "tissues").data
        table = measure_contrast(cohort.load_image(scan).data, tissues)
        tables.append(table.assign(source=source, condition=condition, scan=scan.id))

    for contrast in FILES:
        cohort = get_cohort("openms", contrast=contrast, n_atlases=n_atlases)
        for scan in cohort.scans:
            add(cohort, scan, "real", contrast)
    for contrast in CONTRASTS:
        cohort = get_cohort("synthetic", contrast=contrast)
        for scan in [s for s in cohort.scans if s.group == "test"][:3]:
            add(cohort, scan, "synthesised", contrast)
    return pd.concat(tables, ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checks", nargs="*", metavar="check", help=", ".join(CHECKS))
    parser.add_argument("--tested", type=int, default=3, help="scans left out in turn")
    given = parser.parse_args()
    if unknown := set(given.checks) - set(CHECKS):
        parser.error(f"no check {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}")
    n_atlases = load_profile("03_contrasts", "open")["n_atlases"]
    measures = {
        "fusion": lambda: measure_fusion(n_atlases, given.tested),
        "alignment": check_alignment,
        "levels": lambda: measure_levels(n_atlases),
    }
    for check in given.checks or CHECKS:
        table = measures[check]()
        path = project_root() / "results" / "open" / CHECKS[check]
        table.round(5).to_csv(path, index=False)
        print(table.to_string(index=False))


if __name__ == "__main__":
    main()
