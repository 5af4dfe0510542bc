"""Trainings of everything again: what lessons 3 to 5 say of the network holds for how many of them?

``python notebooks/lab/bars.py [STEPS]`` writes ``results/lab/bars.csv`` (seed, change, method, mean Dice), after each
training anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import labkit
import numpy as np
import pandas as pd
import repairs
import torch
from breaks import CHANGES
from measures import measure_dice, register, register_greedy
from slices import make_held_out, make_training, warp

JUDGED = ("T1w", "inverted", "folded", "T2w", "dimmed", "blurred", "header x 0.4", "outline")


def measure(pairs, field) -> float:
    """Mean Dice, without the other rulers."""
    moved = warp(pairs.moving_labels, field, "nearest")
    labels = zip(pairs.fixed_labels, moved, pairs.moving_labels, strict=True)
    return float(np.mean([measure_dice(*each) for each in labels]))


def measure_all(steps: int, seeds=(0, 1, 2)) -> Iterator[pd.DataFrame]:
    pairs, held_out = make_training(), make_held_out()
    start = measure(held_out, torch.zeros_like(held_out.truth))
    greedy, rows = {}, []
    for change in JUDGED:
        used = CHANGES["T1w"] if CHANGES[change].header else CHANGES[change]
        greedy[change] = measure(held_out, register(register_greedy, held_out, used))
    for seed in seeds:
        plain = labkit.get_network(pairs, steps, seed=seed)
        again = {"start": plain, "seed": 10 + seed}
        networks = {
            "network": plain,
            "trained on": labkit.get_network(pairs, steps, "on", **again),
            "remapped": labkit.get_network(
                pairs, steps, "remapped", change=repairs.remap_inputs, **again
            ),
            "scaled": labkit.get_network(
                pairs, steps, "scaled", change=repairs.shrink_inputs, **again
            ),
        }
        for change in JUDGED:
            found = {"nothing": start, "greedy": greedy[change]}
            for name, network in networks.items():
                found[name] = measure(held_out, register(network, held_out, CHANGES[change]))
            rows += [
                {"seed": seed, "change": change, "method": name, "dice": round(value, 5)}
                for name, value in found.items()
            ]
        yield pd.DataFrame(rows)


if __name__ == "__main__":
    labkit.RESULTS.mkdir(parents=True, exist_ok=True)
    for table in measure_all(int(sys.argv[1]) if len(sys.argv) > 1 else 300):
        table.to_csv(labkit.RESULTS / "bars.csv", index=False)
    print(labkit.describe_bars())
