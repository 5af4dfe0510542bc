"""The matching stage of Vector Field Attention: in tiles, and with every window unfolded.

    python benchmarks/attention.py --shape 160 224 192 --threads 2

"plain" is the obvious form: each level warps the whole moving feature map, projects it, lays the
27 keys of every voxel side by side, and multiplies. "ours" is that of the library. Both get the
same random weights and random feature pyramids of both images, each alone in a fresh process;
"forward" is a whole pass of ours, encoders included, "bfloat16" the same with convolutions in
bfloat16 and channels last. Peak memory is that of the process, inputs and libraries included.
"predicted" is the forward pass on the grid of a brain at 0.6 mm, its memory alone, by
``lumirage_lib.runs.memory``. Writes attention.csv and attention.md beside this file; rows that are not
run again are kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from lumirage_lib.methods.networks.memory import whole_brain_grid
from lumirage_lib.methods.networks.sampling import convert_unit_to_voxels, convert_voxels_to_unit
from lumirage_lib.methods.networks.vfa import VFA, compose, upsample
from lumirage_lib.runs import memory
from lumirage_lib.runs.child import measure, run_child
from lumirage_lib.stats import count

Shape = tuple[int, int, int]


def make_network(**options) -> VFA:
    torch.manual_seed(0)
    return VFA(**options).eval()


def make_pyramids(network: VFA, shape: Shape) -> list[tuple[int, Tensor, Tensor]]:
    """Level and random features of fixed and moving, coarsest first; smooth, as features are."""
    pyramids = []
    for level in reversed(range(len(network.decoder.project))):
        channels = network.decoder.project[str(level)].in_channels
        grid = tuple(n // 2**level for n in shape)
        coarse = tuple(-(-n // 2) for n in grid)
        fixed, moving = (
            F.interpolate(torch.randn(1, channels, *coarse), size=grid) for _ in range(2)
        )
        pyramids.append((level, fixed, moving))
    return pyramids


def match_plainly(network: VFA, pyramids) -> Tensor:
    flow = None
    for level, fixed, moving in pyramids:
        project = network.decoder.project[str(level)]
        query = project(fixed)
        if flow is not None:
            flow = upsample(flow, fixed.shape[2:])
            identity = torch.eye(3, 4, device=flow.device)[None]
            grid = F.affine_grid(identity, [1, 1, *fixed.shape[2:]], True)
            grid = grid + flow.permute(0, 2, 3, 4, 1)
            moving = F.grid_sample(moving, grid, padding_mode="border", align_corners=True)
        key = project(F.pad(moving, (1,) * 6, mode="replicate"))
        offset = convert_voxels_to_unit(attend_plainly(query, key) * network.decoder.beta)
        flow = offset if flow is None else compose(flow, offset)
    return convert_unit_to_voxels(flow)


def attend_plainly(query: Tensor, key: Tensor) -> Tensor:
    n_channels, shape = query.shape[1], query.shape[2:]
    windows = key.unfold(2, 3, 1).unfold(3, 3, 1).unfold(4, 3, 1)
    windows = windows.permute(0, 2, 3, 4, 1, 5, 6, 7).reshape(-1, n_channels, 27)
    scores = query.permute(0, 2, 3, 4, 1).reshape(-1, 1, n_channels) @ windows
    weights = (scores * n_channels**-0.5).softmax(-1)
    steps = torch.tensor([-1.0, 0.0, 1.0], device=query.device)
    offsets = torch.cartesian_prod(steps, steps, steps)
    return (weights @ offsets).view(1, *shape, 3).permute(0, 4, 1, 2, 3)


def match_ours(network: VFA, pyramids) -> Tensor:
    flow = None
    for level, fixed, moving in pyramids:
        flow = None if flow is None else upsample(flow, fixed.shape[2:])
        query = network.decoder.make_query(level, fixed)
        flow = network.decoder(level, query, moving, flow)
    return convert_unit_to_voxels(flow)


def run_matching(match, shape: Shape):
    with torch.inference_mode():
        network = make_network()
        pyramids = make_pyramids(network, shape)
        match(network, pyramids[:2])  # the first call of an operation sets things up
        with measure() as usage:
            displacement = match(network, pyramids)
    return usage, displacement[0, :, ::4, ::4, ::4].numpy()


def run_forward(precision: str, shape: Shape):
    with torch.inference_mode():
        network = make_network(precision=precision)
        pair = [torch.rand(1, 1, *shape) for _ in range(2)]
        with measure() as usage:
            displacement = network(*pair)
    return usage, displacement[0, :, ::4, ::4, ::4].numpy()


RUNS = {
    "plain": (run_matching, match_plainly),
    "ours": (run_matching, match_ours),
    "forward": (run_forward, "float32"),
    "bfloat16": (run_forward, "bfloat16"),
}
REFERENCES = {"ours": "plain", "bfloat16": "forward"}
MEASURES = ["cpu_seconds", "peak_mb"]

TABLE = Path(__file__).with_suffix(".csv")
KEYS = ["run", "shape", "threads"]


def run_all(names: list[str], shape: Shape, threads: int) -> list[dict]:
    """A row for each run; the second of a pair also gets its largest difference from the first."""
    rows, fields = [], {}
    for name in names:
        run, option = RUNS[name]
        outcome = run_child(run, option, shape, threads=threads)
        row = {"run": name, "shape": "x".join(map(str, shape)), "threads": threads}
        row |= {"status": outcome.status, "reason": outcome.reason}
        if outcome.status == "ok":
            usage, fields[name] = outcome.value
            row |= {"seconds": usage.seconds, "cpu_seconds": usage.cpu_seconds}
            row |= {"peak_mb": usage.peak_mb}
        if {name, REFERENCES.get(name)} <= fields.keys():
            difference = abs(fields[name] - fields[REFERENCES[name]])
            row |= {"difference_voxel": difference.max(), "mean_difference": difference.mean()}
        print(row, flush=True)
        rows.append(row)
    return rows


def predict_fine() -> dict:
    shape = whole_brain_grid(0.6)
    peak_mb = memory.predict("vfa", shape).peak_mb
    return {"run": "predicted", "shape": "x".join(map(str, shape)), "threads": 1} | {
        "status": "predicted",
        "peak_mb": peak_mb,
    }


def merge(rows: list[dict]) -> pd.DataFrame:
    table = pd.DataFrame(rows).set_index(KEYS)
    if TABLE.exists():
        old = pd.read_csv(TABLE).set_index(KEYS)
        table = pd.concat([table, old[~old.index.isin(table.index)]])
    order = {name: number for number, name in enumerate([*RUNS, "predicted"])}
    return table.reset_index().sort_values("run", key=lambda r: r.map(order), ignore_index=True)


def say_share(ratio: float, of: str) -> str:
    """ "48 % of the memory", "39 times the memory"."""
    return f"{ratio:.0%} of {of}".replace("%", " %") if ratio < 1.5 else f"{ratio:.0f} times {of}"


def say_voxels(difference: float) -> str:
    """A length in voxels without an exponent: "0.02 voxel", "less than 0.0001 voxel"."""
    return f"{difference:.1g} voxel" if difference >= 1e-4 else "less than 0.0001 voxel"


def summarise(table: pd.DataFrame) -> str:
    """The ratios in sentences, then the rows."""
    lines = []
    for (shape, threads), rows in table[table["status"] == "ok"].groupby(["shape", "threads"]):
        known = rows.set_index("run")
        for name, reference in REFERENCES.items():
            if {name, reference} <= set(known.index):
                ratio = known.loc[name, MEASURES] / known.loc[reference, MEASURES]
                mean, most = known.loc[name, ["mean_difference", "difference_voxel"]]
                lines.append(
                    f"- On {shape.replace('x', ' × ')} with {count(int(threads), 'thread')}, *{name}* "
                    f"takes {say_share(ratio['cpu_seconds'], 'the processor time')} and "
                    f"{say_share(ratio['peak_mb'], 'the memory')} of *{reference}*; the fields differ "
                    f"by {say_voxels(mean)} on average and {say_voxels(most)} at most."
                )
    lines += ["", "| run | grid | threads | CPU s | peak MB |", "|---|---|---|---|---|"]
    for row in table.itertuples():
        seconds = "–" if pd.isna(row.cpu_seconds) else f"{row.cpu_seconds:.1f}"
        peak = row.status if pd.isna(row.peak_mb) else f"{row.peak_mb:.0f}"
        lines.append(f"| {row.run} | {row.shape} | {row.threads} | {seconds} | {peak} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(160, 224, 192))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS))
    arguments = parser.parse_args()
    rows = run_all(arguments.runs, tuple(arguments.shape), arguments.threads)
    table = merge([*rows, predict_fine()])
    table.to_csv(TABLE, index=False, float_format="%.4g")
    TABLE.with_suffix(".md").write_text(summarise(table))


if __name__ == "__main__":
    main()
