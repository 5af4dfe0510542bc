"""Three trainings of everything: what lessons 3 to 5 say of the network holds for how many of them?

``python notebooks/lab/bars.py [STEPS]`` writes ``results/lab/bars.csv``: seed, change, method, mean Dice.
"""

from __future__ import annotations

import sys

import labkit
import pandas as pd
import repairs
import torch
from breaks import CHANGES
from measures import register, register_greedy, score
from slices import TRAINING, load_slices, make_held_out

JUDGED = ("T1w", "inverted", "folded", "T2w", "dimmed", "blurred", "header x 0.4")


def measure_all(steps: int, seeds=(1, 2, 0)) -> pd.DataFrame:
    slices, held_out = load_slices(TRAINING), make_held_out()
    start = score(held_out, torch.zeros_like(held_out.truth))["dice"].mean()
    greedy, rows = {}, []
    for change in JUDGED:
        used = CHANGES["T1w"] if CHANGES[change].header else CHANGES[change]
        greedy[change] = score(held_out, register(register_greedy, held_out, used))["dice"].mean()
    for seed in seeds:
        plain = labkit.get_network(slices, steps, seed=seed)
        again = {"start": plain, "seed": 10 + seed}
        networks = {
            "network": plain,
            "trained on": labkit.get_network(slices, steps, "on", **again),
            "remapped": labkit.get_network(
                slices, steps, "remapped", change=repairs.remap_inputs, **again
            ),
            "scaled": labkit.get_network(
                slices, steps, "scaled", change=repairs.shrink_inputs, **again
            ),
        }
        for change in JUDGED:
            found = {"nothing": start, "greedy": greedy[change]}
            for name, network in networks.items():
                field = register(network, held_out, CHANGES[change])
                found[name] = score(held_out, field)["dice"].mean()
            rows += [
                {"seed": seed, "change": change, "method": name, "dice": round(value, 5)}
                for name, value in found.items()
            ]
    return pd.DataFrame(rows)


if __name__ == "__main__":
    labkit.RESULTS.mkdir(parents=True, exist_ok=True)
    table = measure_all(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
    table.to_csv(labkit.RESULTS / "bars.csv", index=False)
    print(labkit.describe_bars())
