"""Peak memory of one inference at whole-brain grids of any voxel size: predicted, and measured.

    python benchmarks/memory.py [--measured 2 1.5 1.2] [--networks clapirn vfa] [--forms whole]
    python benchmarks/memory.py --check

The grids are those of UltraCortex at 0.6 mm (352 x 352 x 256) and what covers the same box at other
spacings. "slabs" is the form of this library; "whole" has the convolutions of the authors' modules,
of whole volumes, and for VFA also attention with every window unfolded (``attention.py``).
Predictions take seconds; every measurement is one inference with one thread in a process of its own,
which hands freed memory back. With ``--default`` it leaves the C library to its default instead: that
is another column, which no prediction is held to, since it changes from run to run.
Writes memory.csv and memory.md beside this file; rows that are not measured again are kept. With
``--check`` nothing is measured: everything is predicted anew and held to what the table has measured.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
import torch
from attention import match_plainly

from lumirage_lib.methods import networks
from lumirage_lib.methods.networks.memory import Shape, count_tensors, trace, whole_brain_grid
from lumirage_lib.methods.networks.slabs import convolve_whole
from lumirage_lib.runs import memory
from lumirage_lib.runs.child import measure, run_child

TABLE = Path(__file__).with_suffix(".csv")
NETWORKS = ["lapirn-disp", "lapirn-diff", "clapirn", "symnet", "voxelmorph", "vfa", "lkunet"]
SPACINGS_MM = [2.0, 1.5, 1.2, 1.0, 0.8, 0.6, 0.5]
FORMS = ("slabs", "whole")
BOUND_PERCENT = 10.0
KEYS = ["network", "form", "spacing_mm"]


def forward_plainly(network: torch.nn.Module, fixed: torch.Tensor, moving: torch.Tensor):
    """VFA as it is written down: all features of both images, then every window unfolded."""
    with convolve_whole():
        encode = network.encoder.iterate_features
        pyramids = [
            (level, features, other)
            for (level, features), (_, other) in zip(encode(fixed), encode(moving), strict=True)
        ]
        return match_plainly(network, pyramids)


def infer_plainly(shape: Shape, hand_back: bool):
    if hand_back:
        memory.hand_back_freed_blocks()
    network = networks.build("vfa")
    with torch.inference_mode():
        forward_plainly(network, *torch.rand(2, 1, 1, *memory.TINY))
        pair = torch.rand(2, 1, 1, *shape)
        with measure() as usage:
            forward_plainly(network, *pair)
    return usage


def count(network: str, form: str, shape: Shape) -> tuple[float, float]:
    """What tensors take at the peak, and what the convolution library adds, MB."""
    if (network, form) != ("vfa", "whole"):
        return count_tensors(network, shape, whole=form == "whole")
    with torch.device("meta"):
        module = networks.build("vfa")
        pair = [torch.empty(1, 1, *shape) for _ in range(2)]
    peak_mb, library_mb = trace(lambda *pair: forward_plainly(module, *pair), *pair)
    return peak_mb - library_mb, library_mb


def predict(network: str, form: str, shape: Shape) -> memory.Prediction:
    return memory.Prediction(*count(network, form, shape), memory.measure_process(network))


def run(network: str, form: str, shape: Shape, *, hand_back: bool):
    if (network, form) == ("vfa", "whole"):
        return run_child(infer_plainly, shape, hand_back)
    return memory.measure_peak(network, shape, whole=form == "whole", hand_back=hand_back)


def make_row(network: str, form: str, spacing_mm: float) -> dict:
    shape = whole_brain_grid(spacing_mm)
    predicted = predict(network, form, shape)
    return {
        "network": network,
        "form": form,
        "spacing_mm": spacing_mm,
        "shape": "x".join(map(str, shape)),
        "graph_mb": predicted.graph_mb,
        "library_mb": predicted.library_mb,
        "process_mb": predicted.process_mb,
        "predicted_mb": predicted.peak_mb,
    }


def measure_row(row: dict, *, hand_back: bool) -> dict:
    shape = whole_brain_grid(row["spacing_mm"])
    outcome = run(row["network"], row["form"], shape, hand_back=hand_back)
    done = outcome.status == "ok"
    if not hand_back:
        return row | ({"default_mb": outcome.value.peak_mb} if done else {})
    row = row | {"status": outcome.status, "reason": outcome.reason}
    if done:
        row |= {"measured_mb": outcome.value.peak_mb, "cpu_seconds": outcome.value.cpu_seconds}
    return row


def merge(rows: list[dict]) -> pd.DataFrame:
    """The rows, with what an earlier run measured of those this one did not."""
    table = pd.DataFrame(rows).set_index(KEYS)
    if TABLE.exists():
        old = pd.read_csv(TABLE).set_index(KEYS)
        table = table.combine_first(old)
    measured = table.get("measured_mb", pd.Series(float("nan"), table.index))
    table = table.assign(
        measured_mb=measured, error_percent=100 * (table["predicted_mb"] / measured - 1)
    )
    return table.reset_index().sort_values(KEYS, ignore_index=True)


def find_worst(table: pd.DataFrame) -> dict[str, float]:
    """Largest error of the prediction by form, percent; forms that were not measured are left out."""
    errors = table.dropna(subset="measured_mb").groupby("form")["error_percent"]
    return errors.apply(lambda e: e.abs().max()).to_dict()


def summarise(table: pd.DataFrame) -> str:
    done = table.dropna(subset="measured_mb")
    worst = ", ".join(f"{error:.1f} % ({form})" for form, error in find_worst(table).items())
    lines = [
        f"Predicted against measured peak memory of {len(done)} inferences on one thread, whole "
        f"process included. Largest error: {worst}. *Default* is the peak where the C library keeps "
        "freed blocks.",
        "",
        "| network | form | mm | grid | predicted MB | measured MB | error % | default MB | CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in done.sort_values(KEYS).itertuples():
        default = "–" if pd.isna(row.default_mb) else f"{row.default_mb:.0f}"
        lines.append(
            f"| {row.network} | {row.form} | {row.spacing_mm:g} | {row.shape} "
            f"| {row.predicted_mb:.0f} | {row.measured_mb:.0f} | {row.error_percent:+.1f} "
            f"| {default} | {row.cpu_seconds:.0f} |"
        )
    return "\n".join(lines) + "\n"


def check(table: pd.DataFrame) -> None:
    """Ends the program with a failure if some prediction is off by more than the bound."""
    worst = find_worst(table)
    print(f"largest error, percent: {worst}; bound {BOUND_PERCENT:g}")
    raise SystemExit(int(not worst or max(worst.values()) > BOUND_PERCENT))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measured", type=float, nargs="*", default=[2.0, 1.5, 1.2])
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=["slabs"])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--default", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for network in arguments.networks:
        for form in FORMS:
            rows += [make_row(network, form, spacing_mm) for spacing_mm in SPACINGS_MM]
    if arguments.check:
        check(merge(rows))
    write(merge(rows))
    for number, row in enumerate(rows):
        if row["form"] in arguments.forms and row["spacing_mm"] in arguments.measured:
            rows[number] = measure_row(row, hand_back=not arguments.default)
            print(rows[number], flush=True)
            write(merge(rows))


def write(table: pd.DataFrame) -> None:
    table.to_csv(TABLE, index=False, float_format="%.4g")
    TABLE.with_suffix(".md").write_text(summarise(table))


if __name__ == "__main__":
    main()
