"""Checks behind notebook 03, written beside the published run.

    python benchmarks/contrasts.py [fusion] [alignment] [levels] [--tested 3]

fusion: leave-one-out Dice of the label fusion. alignment: FLAIR on T1w before and after. levels: tissues
in real and synthesised contrasts. None named: all three.

Needs the images of the cohorts oasis, openms and nichart. About eight minutes of one core for "fusion",
and for "levels" where the labels of openms are not in the cache yet; two for "alignment".
"""

from __future__ import annotations

import argparse

import pandas as pd

from lumirage_lib.cohorts import get_cohort
from lumirage_lib.cohorts.fused import get_atlases, load_atlas
from lumirage_lib.cohorts.nichart import check_alignment
from lumirage_lib.cohorts.openms import FILES
from lumirage_lib.experiments.contrasts.checks import FILES as CHECKS
from lumirage_lib.images.contrast import CONTRASTS, measure_contrast
from lumirage_lib.methods.atlases import compute_quality
from lumirage_lib.methods.tools import TOOLS
from lumirage_lib.runs.profiles import load_profile, project_root


def measure_fusion(n_atlases: int, tested: int) -> pd.DataFrame:
    scans = {scan.id: scan for scan in get_atlases(n_atlases)}
    return compute_quality(list(scans), lambda id: load_atlas(scans[id]), list(scans)[:tested])


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
