"""The model card: what whoever uses trained weights has to know, computed from the run."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pooch
import torch
from safetensors.torch import load_file

from ...cohorts import Cohort
from .data import training_scans
from .loop import CHECKPOINT, WEIGHTS, has_settled
from .recipes import Recipe


def make_card(out: Path, cohort: Cohort, environment: Mapping[str, str]) -> str:
    """Model card, Markdown, of the run in the folder `out`.

    Parameters
    ----------
    out : Path
        Folder that :func:`lumirage_lib.methods.training.loop.train` wrote.
    cohort : Cohort
        What was trained on.
    environment : mapping
        What to say of hardware and software.
    """
    run = torch.load(out / CHECKPOINT, map_location="cpu", weights_only=True)
    recipe, curves = run["recipe"], pd.DataFrame(run["history"])
    scans = training_scans(cohort)
    fitted, held_out = scans[: -recipe["n_held_out"]], scans[-recipe["n_held_out"] :]
    fitted = fitted[: recipe.get("n_fitted")]
    files = [source for scan in scans for source in cohort.sources(scan)]
    licences = {source.licence for source in files if ".nii" in source.path}  # not of a segmenter
    tested = {scan.subject for scan in cohort.scans if scan.group != "train"}
    weights = sum(tensor.numel() for tensor in load_file(out / WEIGHTS).values())
    facts = {
        "network": "Vector Field Attention (Liu et al. 2024, arXiv:2407.10209), "
        + ", ".join(f"{key} {value}" for key, value in recipe["options"].items()),
        "weights": f"{weights:,}; {(out / WEIGHTS).stat().st_size / 1e6:.1f} MB; "
        f"sha256 {pooch.file_hash(str(out / WEIGHTS), alg='sha256')}",
        "licence of the weights": "MIT, as the library; the terms of the images hold beside it",
        "images": f"{len(fitted)} T1w scans of the cohort {cohort.name} ({cohort.reference}), group "
        f"train: {', '.join(scan.id for scan in fitted)}; no label map",
        "licence of the images": ", ".join(sorted(licences)) or "not stated",
        "never seen": f"any scan of the {len(tested)} test subjects",
        "objective": "squared local correlation, side of the window in voxels "
        f"{_describe_schedule(recipe['windows'])}; and mean squared derivative of the displacement, "
        f"weight {_describe_schedule(recipe['smoothness'])}",
        "optimiser": f"Adam, learning rate {recipe['learning_rate']:g}; running mean of the "
        f"weights, {recipe['averaging']:g}",
        "length": f"{run['iteration']} iterations, each one random pair both ways, in "
        f"{run['seconds'] / 3600:.2f} hours",
        "ended": _describe_end(run),
        "seed": str(run["seed"]),
        **environment,
    }
    lines = ["# Model card", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in facts.items()]
    lines += ["", "## Validation", "", _describe_validation(curves, held_out), ""]
    options = {k: v for k, v in recipe.items() if k not in ("name", "options", "hours")}
    lines += [f"## Recipe {recipe['name']}", "", "| parameter | value |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in options.items()]
    lines += [
        "",
        "## Use and limits",
        "",
        f"For skull-stripped T1w brains, affinely aligned, resampled to {recipe['spacing_mm']:g} mm. "
        "Other contrasts, species, pathology and voxel sizes were not trained on; what the network "
        "makes of them is what this project measures. Not for clinical use.",
        "",
    ]
    return "\n".join(lines)


def _describe_end(run: Mapping) -> str:
    recipe = Recipe(**run["recipe"])
    if recipe.plateau is None:
        return "by its length"
    gain, over = recipe.plateau
    if has_settled(run["history"], recipe):
        return f"held-out correlation gained less than {gain:g} in {over} iterations"
    return (
        f"its time was over, still learning: not yet less than {gain:g} gained in {over} iterations"
    )


def _describe_schedule(schedule) -> str:
    (_, first), *later = schedule
    return f"{first:g}" + "".join(f", from iteration {start} on {v:g}" for start, v in later)


def _describe_validation(curves: pd.DataFrame, held_out: list) -> str:
    if "held_out_correlation" not in curves:
        return "The run was too short for a validation."
    last = curves.dropna(subset="held_out_correlation").iloc[-1]
    n = len(held_out)
    return (
        f"On the {n * (n - 1)} ordered pairs of the held-out scans "
        f"{', '.join(scan.id for scan in held_out)}, after iteration {last['iteration']:.0f}: "
        f"squared local correlation {last['held_out_correlation_before']:.4f} before and "
        f"{last['held_out_correlation']:.4f} after registration; "
        f"{last['held_out_folded_percent']:.4f} % of the brain's voxels folded. The weight of the "
        "derivative was chosen on these scans alone."
    )
