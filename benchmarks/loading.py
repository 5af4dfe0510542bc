"""Loading and preparing a pair around a method: for the first method of the pair, and for the next.

    python benchmarks/loading.py

Each stands in a process of its own, as in a run; the children of a pair share what was read and prepared
in a scratch folder. Processor seconds of reading both images and the label maps that are files and of
making the pair on the working grid; and, apart, of taking the displacement back to the native grid, which is
each method's own. Writes loading.csv.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np
import pandas as pd

from lumirage_lib.cohorts import balanced_pairs, get_cohort
from lumirage_lib.cohorts.sources import fetch_all, is_local
from lumirage_lib.images.warp import to_native
from lumirage_lib.runs import work
from lumirage_lib.runs.child import measure, run_child
from lumirage_lib.runs.compute import needs
from lumirage_lib.runs.profiles import project_root
from lumirage_lib.runs.scratch import recalling
from lumirage_lib.runs.task import Task, plan

MADE = ("seg-T1w",)  # by a network, once on a machine; read as the others are
METHODS = ("affine", "vfa", "affine")  # the first reads and prepares; what follows recalls


def spend(task: Task, alignment: np.ndarray, scratch: Path) -> tuple[float, float]:
    """Processor seconds of loading and preparing, and of taking the displacement to the native grid."""
    back = 0.0

    def time_back(*given):
        nonlocal back
        with measure() as usage:
            native = to_native(*given)
        back = usage.cpu_seconds
        return native

    with measure() as whole, mock.patch.object(work, "to_native", time_back):
        cohort = recalling(task.get_cohort(), scratch)
        _, method, _ = work.compute_displacement(cohort, task, alignment, scratch)
        for name in cohort.label_sets:
            if cohort.has_labels(task.pair, name) and name not in MADE:
                for scan in (task.pair.fixed, task.pair.moving):
                    cohort.load_labels(scan, name)
    return whole.cpu_seconds - method.cpu_seconds - back, back


def main() -> None:
    alignments = pd.read_parquet(project_root() / "results/open/alignments.parquet").set_index(
        "key"
    )
    pairs = balanced_pairs(get_cohort("oasis").scans, 1)
    rows = []
    with TemporaryDirectory() as name:
        for number, method in enumerate(METHODS):
            (task,) = plan("oasis", pairs, [method])
            fetch_all([source for source in needs([task]) if not is_local(source)])
            found = alignments["matrix"].get(task.alignment_key)
            matrix = np.eye(4) if found is None else np.array(json.loads(found))
            done = run_child(spend, task, matrix, Path(name))
            assert done.status == "ok", done.reason
            which = "first of the pair" if number == 0 else "later"
            loading, back = done.value
            rows.append(
                {
                    "method": method,
                    "which": which,
                    "load_prepare_cpu_s": loading,
                    "to_native_cpu_s": back,
                }
            )
    table = pd.DataFrame(rows)
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False, float_format="%.3g")
    first, *later = table["load_prepare_cpu_s"]
    print(table.to_string(index=False))
    print(f"a later method of the pair: {first / max(later):.1f} times less than the first")


if __name__ == "__main__":
    import loading  # by the name that children know it by

    loading.main()
