"""The training loop: a step depends on the seed and its number alone, so a killed run goes on.

No generator's state is kept: iteration i draws from a generator seeded by (seed, i). A checkpoint
holds the weights, their running mean, Adam's moments and the curves; training n iterations, being
killed and training n more gives, bit for bit, what 2 n iterations give.
"""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...cohorts import Cohort
from ...errors import InputError
from ...files import replacing
from ..local import save_weights
from ..networks import VFA
from ..networks.losses import (
    compute_folded_percent,
    compute_local_correlation,
    compute_roughness,
)
from ..networks.sampling import convert_unit_to_voxels, convert_voxels_to_unit, warp_by_unit_flow
from ..networks.vfa import upsample
from .data import (
    Brains,
    draw_map,
    draw_pair,
    load_brains,
    remap,
    sample_brain,
    training_scans,
)
from .recipes import Recipe, value_at

CHECKPOINT, HISTORY, WEIGHTS, FRAME = (
    "checkpoint.pt",
    "history.csv",
    "vfa.safetensors",
    "frame.json",
)

SECONDS_TO_WRITE = 20.0  # kept free at the end of a call of limited length


@dataclass
class State:
    """All that changes while training."""

    network: VFA
    average: VFA
    optimiser: torch.optim.Optimizer
    iteration: int = 0
    seconds: float = 0.0
    history: list[dict] = field(default_factory=list)


def train(
    cohort: Cohort,
    recipe: Recipe,
    out: Path,
    *,
    seed: int = 0,
    hours: float | None = None,
    iterations: int | None = None,
    minutes: float | None = None,
    resume: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> State:
    """Train a network on the training scans of a cohort; images only.

    Writes into `out`: the weights (their running mean, safetensors), the curves as CSV, and a
    checkpoint from which the same call with `resume` goes on.

    Parameters
    ----------
    hours : float, optional
        Training time at which to stop, that of earlier parts included; default: the recipe's.
    iterations : int, optional
        Iteration at which to stop, if that comes first.
    minutes : float, optional
        Of this call, its reading of the scans included, where a machine is lent for that long: it
        stops in time to write, and the same call goes on.
    resume : bool
        Go on from the folder's checkpoint, where there is one.

    Raises
    ------
    InputError
        `out` holds a run already and `resume` is not asked for; or one of another recipe or seed, and
        it is.
    """
    out, called = Path(out), time.monotonic()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.benchmark = device == "cuda"  # every iteration has the same shapes
    state = start(recipe, seed, device)
    if resume and (out / CHECKPOINT).exists():
        read_checkpoint(out / CHECKPOINT, state, recipe, seed)
    elif (out / CHECKPOINT).exists():
        raise InputError(f"{out} holds a run already; add --resume, or choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    scans = training_scans(cohort)
    brains = load_brains(
        cohort, scans, recipe.spacing_mm, state.network.required_multiple, out / FRAME
    )
    brains = Brains(
        tuple(i.to(device) for i in brains.images), brains.matrices, brains.shape, recipe.spacing_mm
    )
    fitted, held_out = split(brains, recipe.n_held_out, recipe.n_fitted)
    begun = saved = time.monotonic()
    before, limit = state.seconds, 3600 * (recipe.hours if hours is None else hours)
    end = math.inf if minutes is None else called + 60 * minutes - SECONDS_TO_WRITE
    while (
        state.seconds < limit
        and (iterations is None or state.iteration < iterations)
        and time.monotonic() < end
        and not has_settled(state.history, recipe)
    ):
        row = step(state, fitted, recipe, seed)
        if state.iteration % recipe.validate_every == 0:
            finest = value_at(recipe.finest, state.iteration - 1)
            row |= validate(state.average, held_out, value_at(recipe.windows, 0), finest)
        state.seconds = before + time.monotonic() - begun
        state.history.append({"iteration": state.iteration, "seconds": state.seconds, **row})
        if "held_out_correlation" in row:
            report(describe(state, recipe.validate_every))
        if time.monotonic() - saved > 60 * recipe.checkpoint_minutes:
            write_checkpoint(out, state, recipe, seed, brains.shape)
            saved = time.monotonic()
    write_checkpoint(out, state, recipe, seed, brains.shape)
    return state


def start(recipe: Recipe, seed: int, device: str) -> State:
    """Weights drawn from the seed; nothing trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = VFA(**recipe.options)
        torch.manual_seed(seed)  # levels that join later do not change the draws of the others
        first = VFA(**{**recipe.options, "skip": value_at(recipe.finest, 0)})
    network.load_state_dict(first.state_dict(), strict=False)
    average = VFA(**recipe.options)
    average.load_state_dict(network.state_dict())
    # Convolutions of this layout are two to three times as fast on a CPU, and no slower on a GPU.
    network, average = (
        n.to(device, memory_format=torch.channels_last_3d) for n in (network, average)
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    return State(network, average.eval(), optimiser)


def step(state: State, brains: Brains, recipe: Recipe, seed: int) -> dict[str, float]:
    """One iteration on one random pair, registered both ways; its losses."""
    rng = np.random.default_rng([seed, state.iteration])
    images = draw_pair(brains, rng, recipe.shared, recipe.individual, recipe.scales)
    seen = remap(images, draw_map(rng)) if recipe.remapped else images
    finest = value_at(recipe.finest, state.iteration)
    displacement = register_both_ways(state.network, seen, finest, recipe.precision)
    moved = warp(images.flip(0), displacement)
    correlation = compute_local_correlation(
        images, moved, value_at(recipe.windows, state.iteration)
    )
    roughness = compute_roughness(displacement)
    loss = value_at(recipe.smoothness, state.iteration) * roughness - correlation
    state.optimiser.zero_grad(set_to_none=True)  # a level that takes no part stays as it is
    loss.backward()
    state.optimiser.step()
    state.iteration += 1
    # In the beginning the mean is over fewer iterations, so that it forgets the random weights.
    kept = min(recipe.averaging, state.iteration / (state.iteration + 10))
    with torch.no_grad():
        pairs = zip(state.average.parameters(), state.network.parameters(), strict=True)
        for mean, weight in pairs:
            mean.lerp_(weight, 1 - kept)
    values = {"loss": loss, "correlation": correlation, "roughness": roughness}
    return {name: float(value.detach()) for name, value in values.items()}


def register_both_ways(
    network: VFA, images: Tensor, finest: int = 0, precision: str = "float32"
) -> Tensor:
    """Displacements (2, 3, X, Y, Z), first onto second and second onto first, of (2, 1, X, Y, Z).

    Entry i is on the grid of image i, which is fixed. Each image goes through the encoder once, so
    the second direction costs the matching only; the result is that of two calls of the network,
    without the levels finer than `finest`.
    """
    mixed = precision == "bfloat16"
    flow = None
    with torch.autocast(images.device.type, torch.bfloat16) if mixed else nullcontext():
        for level, features in network.encoder.iterate_features(images):
            if flow is not None:
                flow = upsample(flow, features.shape[2:])
            query = network.decoder.make_query(level, features)
            flow = network.decoder(level, query, features.flip(0), flow)
            if level == finest:  # the generator has not computed finer features yet
                break
    return convert_unit_to_voxels(upsample(flow.float(), images.shape[2:]))


def warp(images: Tensor, displacement: Tensor) -> Tensor:
    """`images(x + displacement(x))`, displacement in voxels."""
    return warp_by_unit_flow(images, convert_voxels_to_unit(displacement))


def has_settled(history: list[dict], recipe: Recipe) -> bool:
    """Whether the held-out correlation has reached the recipe's plateau, in its last phase."""
    if recipe.plateau is None or not history or "held_out_correlation" not in history[-1]:
        return False
    gain, over = recipe.plateau
    known = {
        row["iteration"]: row["held_out_correlation"]
        for row in history
        if "held_out_correlation" in row
    }
    last = history[-1]["iteration"]
    phases = (*recipe.smoothness, *recipe.windows, *recipe.finest)
    earlier = last - over
    return (
        earlier in known
        and earlier >= max(start for start, _ in phases)
        and known[last] - known[earlier] < gain
    )


def split(brains: Brains, n_held_out: int, n_fitted: int | None = None) -> tuple[Brains, Brains]:
    """Scans to fit (the first `n_fitted`) and the last `n_held_out` (at least two on each side)."""
    n = len(brains.images) - n_held_out
    if n < 2 or n_held_out < 2:
        raise InputError(
            f"expected two scans or more on each side, got {n} to fit and {n_held_out} held out"
        )
    return tuple(
        Brains(brains.images[part], brains.matrices[part], brains.shape, brains.spacing_mm)
        for part in (slice(min(n, n_fitted or n)), slice(n, None))
    )


@torch.no_grad()
def validate(network: VFA, brains: Brains, window: int, finest: int = 0) -> dict[str, float]:
    """Local correlation before and after, and per cent folded, over all pairs of held-out scans."""
    images = [sample_brain(brains, i) for i in range(len(brains.images))]
    rows = []
    for i in range(len(images)):
        for j in range(i):
            pair = torch.cat([images[i], images[j]])
            field_ = register_both_ways(network, pair, finest)
            after = compute_local_correlation(pair, warp(pair.flip(0), field_), window)
            before = compute_local_correlation(pair, pair.flip(0), window)
            folded = [
                compute_folded_percent(u, image[0] > 0)
                for u, image in zip(field_, pair, strict=True)
            ]
            rows.append((float(after), float(before), float(np.mean(folded))))
    names = ("held_out_correlation", "held_out_correlation_before", "held_out_folded_percent")
    return dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))


def describe(state: State, n: int) -> str:
    """The last validation in one line."""
    row, mean = state.history[-1], np.mean([r["loss"] for r in state.history[-n:]])
    return (
        f"iteration {row['iteration']}, {row['seconds'] / 60:.1f} min: loss {mean:.4f}; held out: "
        f"correlation {row['held_out_correlation_before']:.4f} -> "
        f"{row['held_out_correlation']:.4f}, folded {row['held_out_folded_percent']:.3f} %"
    )


def write_checkpoint(out: Path, state: State, recipe: Recipe, seed: int, shape: tuple) -> None:
    """Everything needed to go on, in one step; beside it the curves and the weights so far."""
    content = {
        "recipe": recipe.as_dict(),
        "seed": seed,
        "iteration": state.iteration,
        "seconds": state.seconds,
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "history": state.history,
    }
    with replacing(out / CHECKPOINT) as part:
        torch.save(content, part)
    pd.DataFrame(state.history).to_csv(out / HISTORY, index=False, float_format="%.6g")
    about = {
        "spacing_mm": recipe.spacing_mm,
        "grid": "x".join(map(str, shape)),
        "recipe": recipe.name,
        "seed": seed,
        "iterations": state.iteration,
        "settled": has_settled(state.history, recipe),
        "licence": "MIT",
    }
    header = {key: str(value) for key, value in about.items()}
    finest = value_at(recipe.finest, max(0, state.iteration - 1))
    trained = VFA(**{**recipe.options, "skip": finest}).state_dict().keys()
    average = state.average.state_dict()
    save_weights({key: average[key] for key in trained}, out / WEIGHTS, header)


def read_checkpoint(path: Path, state: State, recipe: Recipe, seed: int) -> None:
    """Fill `state` from a checkpoint of the same recipe and seed, or raise InputError."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    asked = {**recipe.as_dict(), "seed": seed}
    given = {**content["recipe"], "seed": content["seed"]}
    differing = sorted(key for key in asked if asked[key] != given.get(key))
    if differing:
        raise InputError(
            f"{path} is of another run: {', '.join(differing)} differ; "
            "resume with what it was started with, or choose another folder"
        )
    state.network.load_state_dict(content["network"])
    state.average.load_state_dict(content["average"])
    state.optimiser.load_state_dict(content["optimiser"])
    state.iteration, state.seconds = content["iteration"], content["seconds"]
    state.history = content["history"]
