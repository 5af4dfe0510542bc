"""Memory and time of one inference on a graphics card, whole and in slabs, at 1 and 0.6 mm.

    python benchmarks/gpu.py [--spacings 1 0.6] [--networks clapirn vfa]

Grids as in ``memory.py``: the box of the UltraCortex brains, 352 x 352 x 256 voxels at 0.6 mm. Weights
are random, which changes neither. "Peak" is the largest sum of the tensors alive, "reserved" what the
allocator held for them; the driver's context comes on top and is given once. Beside them what is
predicted for a processor, whose convolutions copy their input and output. Time is the median of three
inferences after one that does not count; single precision, no reduced matrix products. A network that
does not fit says so in its row. Writes gpu.csv and gpu.md beside this file; without a card it ends.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from pathlib import Path

import memory
import pandas as pd
import torch

from lumirage_lib.methods import networks
from lumirage_lib.methods.networks.memory import MB, whole_brain_grid
from lumirage_lib.methods.networks.slabs import convolve_whole

TABLE = Path(__file__).with_suffix(".csv")
REPEATS = 3


def infer(module: torch.nn.Module, pair: torch.Tensor, plainly: bool) -> None:
    with torch.inference_mode():
        if plainly:
            memory.forward_plainly(module, *pair)
        else:
            module(*pair)
    torch.cuda.synchronize()


def measure(network: str, form: str, spacing_mm: float) -> dict:
    """One row; status "out of memory" where the card is too small."""
    shape = whole_brain_grid(spacing_mm)
    row = {"network": network, "form": form, "spacing_mm": spacing_mm}
    row |= {"shape": "x".join(map(str, shape)), "card": torch.cuda.get_device_name()}
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    try:
        module = networks.build(network).to("cuda")
        pair = torch.rand(2, 1, 1, *shape, device="cuda")
        plainly = (network, form) == ("vfa", "whole")
        seconds = []
        with convolve_whole() if form == "whole" else contextlib.nullcontext():
            for _ in range(1 + REPEATS):
                begun = time.perf_counter()
                infer(module, pair, plainly)
                seconds.append(time.perf_counter() - begun)
        row |= {"status": "ok", "seconds": statistics.median(seconds[1:])}
        row |= {"peak_mb": torch.cuda.max_memory_allocated() / MB}
        row |= {"reserved_mb": torch.cuda.max_memory_reserved() / MB}
    except torch.OutOfMemoryError:
        row |= {"status": "out of memory"}
    return row


def predict(row: dict) -> float:
    """Peak of one inference on a processor, without the process; MB."""
    shape = tuple(map(int, row["shape"].split("x")))
    return sum(memory.count(row["network"], row["form"], shape))


def measure_context() -> float:
    """What the process holds of the card beyond its allocator: the driver's context, MB."""
    free, total = torch.cuda.mem_get_info()
    return (total - free) / MB - torch.cuda.memory_reserved() / MB


def summarise(table: pd.DataFrame) -> str:
    card, context = table["card"].iloc[0], table["context_mb"].iloc[0]
    lines = [
        f"One inference on an {card}, single precision. The driver's context, {context:.0f} MB, comes "
        "on top of *reserved*.",
        "",
        "| network | form | mm | grid | predicted for a processor MB | peak MB | reserved MB | s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in table.sort_values(["spacing_mm", "network", "form"]).itertuples():
        found = (
            f"{r.peak_mb:.0f} | {r.reserved_mb:.0f} | {r.seconds:.2f}"
            if r.status == "ok"
            else "out of memory | – | –"
        )
        lines.append(
            f"| {r.network} | {r.form} | {r.spacing_mm:g} | {r.shape} | {r.predicted_mb:.0f} | {found} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spacings", type=float, nargs="+", default=[1.0, 0.6])
    parser.add_argument("--networks", nargs="+", choices=memory.NETWORKS, default=memory.NETWORKS)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("no graphics card: nothing is measured, gpu.csv stays as it is")
        return
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    rows = []
    for spacing_mm in arguments.spacings:
        for network in arguments.networks:
            for form in memory.FORMS:
                rows.append(measure(network, form, spacing_mm))
                print(rows[-1], flush=True)
    table = pd.DataFrame(rows).assign(context_mb=measure_context())
    table["predicted_mb"] = [predict(row) for row in rows]
    table.to_csv(TABLE, index=False, float_format="%.4g")
    TABLE.with_suffix(".md").write_text(summarise(table))
    print(summarise(table))


if __name__ == "__main__":
    main()
