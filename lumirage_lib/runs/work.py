"""What runs in a child: preparing a scan, aligning a pair, registering it and measuring the result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..cohorts import Scan
from ..cohorts.sources import fetch
from ..images.linear import align
from ..images.preprocess import PairImages, prepare_pair
from ..images.warp import to_native
from ..methods import get_method, run_method
from ..methods.tools import TOOLS
from .child import Usage, measure
from .scoring import display_slices, score
from .task import Task, aligning


@dataclass(frozen=True)
class Done:
    """A registration that went well: what it took, its grid and what was measured of it."""

    usage: Usage
    working_shape: str
    spacing_mm: float
    measures: dict[str, float]
    structures: pd.DataFrame
    slices: bytes | None


def prepare_scan(task: Task, scan: Scan) -> None:
    """Make what reading a scan of the task's cohort needs."""
    prepare = task.get_cohort().prepare
    if prepare is not None:
        prepare(scan, TOOLS)


def align_pair(task: Task) -> tuple[np.ndarray, Usage]:
    """The shared linear alignment, fixed voxel -> moving voxel."""
    cohort = aligning(task.get_cohort())
    fixed, moving = cohort.load_image(task.pair.fixed), cohort.load_image(task.pair.moving)
    with measure() as usage:
        matrix = align(fixed, moving, task.preprocessing.alignment)
    return matrix, usage


def compute_displacement(task: Task, alignment: np.ndarray) -> tuple[np.ndarray, Usage, PairImages]:
    """Register one pair: native displacement, what it took, and the pair as the method saw it."""
    cohort, spec = task.get_cohort(), get_method(task.method)
    fixed, moving = cohort.load_image(task.pair.fixed), cohort.load_image(task.pair.moving)
    parameters = task.full_parameters()
    if spec.weights is not None:
        parameters["weights"] = str(fetch(spec.weights, quiet=True))
    images = prepare_pair(fixed, moving, task.preprocessing, alignment)
    with measure() as usage:
        field = run_method(spec, images, parameters)
    native = to_native(field, images.to_fixed, images.to_moving, fixed.shape)
    return native, usage, images


def register_pair(task: Task, alignment: list, keep: str | None, with_slices: bool) -> Done:
    """Register one pair and measure the result; `keep` is where the native displacement goes."""
    native, usage, images = compute_displacement(task, np.array(alignment))
    if keep:
        Path(keep).parent.mkdir(parents=True, exist_ok=True)
        np.save(keep, native)
    cohort = task.get_cohort()
    measures, structures = score(cohort, task.pair, native)
    slices = display_slices(cohort, task.pair, native) if with_slices else None
    shape = "x".join(map(str, images.fixed.shape))
    spacing_mm = float(np.prod(images.spacing_mm) ** (1 / 3))
    return Done(usage, shape, spacing_mm, measures, structures, slices)
