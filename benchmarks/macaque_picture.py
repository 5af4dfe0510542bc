"""One generated pair at the true size of a macaque, moved by every method: the picture of chapter 02.

``python benchmarks/macaque_picture.py`` writes ``book/pictures/macaque.npz``: one coronal slice of the fixed
brain and of what each method made of the moving one. The images of the published run may not be drawn, and
no licence of INIA19 could be found written down, so these are deformations of the human template, shrunk.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from lumirage_lib.book.notebooks import resolve_parameters
from lumirage_lib.cohorts.macaque_like import find_inia19
from lumirage_lib.errors import InputError
from lumirage_lib.experiments import load_or_compute
from lumirage_lib.experiments.panels import find_panel, write_panel

OUT = Path(__file__).parents[1] / "book" / "pictures" / "macaque.npz"
NOTEBOOK, SIZE = "02_macaque", "true size"


def main() -> None:
    if folder := find_inia19():
        raise InputError(
            f"{folder}: what is made of INIA19 is not published; take it out of the way"
        )
    methods = resolve_parameters(NOTEBOOK, "open")["methods"]
    given = {"methods": methods, "n_pairs": 1, "sizes": [SIZE], "jobs": 1}
    parameters = resolve_parameters(NOTEBOOK, "demo", given)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("LUMIRAGE_STORE", folder)
        run = load_or_compute(NOTEBOOK, parameters)
        panel = find_panel(run.registrations, run.store, parameters["cohort"])
    if panel is None or set(panel.slices) != set(methods):
        raise InputError(f"not every method has a slice: {run.absent or run.counts}")
    write_panel(OUT, panel, "coronal")
    print(OUT, OUT.stat().st_size, panel.dice)


if __name__ == "__main__":
    main()
