"""Register two NIfTI files: what `lumirage register` does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import metrics
from ..cohorts.sources import fetch
from ..errors import InputError, RegistrationError
from ..images.linear import align
from ..images.preprocess import STANDARD, Preprocessing, prepare_pair
from ..images.volumes import Volume, load_volume, reorient, save_volume
from ..images.warp import save_displacement, to_native, warp_image, warp_labels
from ..methods import get_method, missing, run_method
from .child import Usage, measure, run_child


@dataclass(frozen=True)
class Registered:
    """What :func:`register_files` wrote and measured; Dice is NaN without both label maps."""

    moved: Path
    displacement: Path
    moved_labels: Path | None
    usage: Usage
    correlation_before: float
    correlation_after: float
    dice_before: float
    dice_after: float
    n_labels: int


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


def _work(fixed: Volume, moving: Volume, method: str, parameters: Mapping, how: Preprocessing):
    spec = get_method(method)
    alignment = align(fixed, moving, how.alignment)
    images = prepare_pair(fixed, moving, how, alignment)
    with measure() as usage:
        field = run_method(spec, images, parameters)
    start = to_native(np.zeros_like(field), images.to_fixed, images.to_moving, fixed.shape)
    return to_native(field, images.to_fixed, images.to_moving, fixed.shape), start, usage


def register_files(
    fixed_path: Path,
    moving_path: Path,
    method: str,
    out: Path,
    *,
    moving_labels: Path | None = None,
    fixed_labels: Path | None = None,
    parameters: Mapping | None = None,
    preprocessing: Preprocessing = STANDARD,
    threads: int = 1,
) -> Registered:
    """Register a moving image file to a fixed one and write the result.

    Writes into `out`: ``moved.nii.gz`` and, with `moving_labels`, ``moved_labels.nii.gz`` (nearest),
    both on the fixed file's grid; and ``disp_FIXED_MOVING.nii.gz``, a Learn2Reg displacement, shape
    (X, Y, Z, 3), float32, in voxels of the arrays in canonical RAS orientation (its header says so).

    Parameters
    ----------
    fixed_path, moving_path : path
        NIfTI images, skull-stripped as most methods expect them.
    method : str
        Name in the registry, or ``module:attribute``.
    parameters : mapping, optional
        Differing from the method's defaults.

    Raises
    ------
    InputError
        An image or label map cannot be used, or the method cannot run here.
    RegistrationError
        The method failed; nothing is written.
    """
    spec = get_method(method)
    chosen = spec.with_parameters(parameters or {})
    why = missing(spec)
    if why:
        raise InputError(f"{method} cannot run here: {why}")
    fixed_file = load_volume(fixed_path)
    fixed, moving = reorient(fixed_file), reorient(load_volume(moving_path))
    labels = {
        name: reorient(load_volume(path, labels=True))
        for name, path in (("fixed", fixed_labels), ("moving", moving_labels))
        if path is not None
    }
    for name, image in (("fixed", fixed), ("moving", moving)):
        if name in labels and labels[name].shape != image.shape:
            raise InputError(
                f"{labels[name].name}: labels have shape {labels[name].shape}, their image "
                f"{image.shape}; resample them to the image's grid"
            )
    if len(labels) == 2 and not metrics.find_common_labels(*(v.data for v in labels.values())):
        raise InputError(
            f"{labels['fixed'].name} and {labels['moving'].name} share no label; "
            "give two maps of one protocol"
        )
    if spec.weights is not None:
        chosen["weights"] = str(fetch(spec.weights))
    outcome = run_child(
        _work,
        fixed,
        moving,
        method,
        chosen,
        preprocessing,
        timeout_seconds=spec.timeout_seconds,
        threads=threads,
    )
    if outcome.status != "ok":
        raise RegistrationError(f"{method}: {outcome.reason}", outcome.status)
    displacement, start, usage = outcome.value

    moved = warp_image(moving.data, displacement)
    fields, brain = (start, displacement), fixed.data > 0
    correlation = [
        metrics.compute_correlation(fixed.data, moving.data, field, brain) for field in fields
    ]
    dice, n_labels = [float("nan")] * 2, 0
    if len(labels) == 2:
        maps = {"labels": (labels["fixed"].data, labels["moving"].data)}
        scored = [
            metrics.score_case(field, maps, fixed.spacing_mm, rules=["nearest"])[0]
            for field in fields
        ]
        dice, n_labels = [s["dice"] for s in scored], int(scored[0]["n_labels"])
    name = f"disp_{_stem(Path(fixed_path))}_{_stem(Path(moving_path))}.nii.gz"
    field_path = save_displacement(displacement, fixed.affine, Path(out) / name)
    moved_path = _save_like(moved, fixed, fixed_file, Path(out) / "moved.nii.gz")
    labels_path = None
    if "moving" in labels:
        data = warp_labels(labels["moving"].data, displacement)
        labels_path = _save_like(data, fixed, fixed_file, Path(out) / "moved_labels.nii.gz")
    return Registered(moved_path, field_path, labels_path, usage, *correlation, *dice, n_labels)


def _save_like(data, fixed: Volume, file: Volume, path: Path) -> Path:
    """Write an array on the canonical fixed grid in the orientation of the fixed file."""
    return save_volume(reorient(Volume(data, fixed.affine), file.orientation), path)
