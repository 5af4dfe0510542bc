"""What runs in a child: preparing a scan, aligning a pair, registering it and measuring the result."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..cohorts import Cohort, Scan
from ..cohorts.sources import fetch
from ..images.linear import align
from ..images.preprocess import PairImages, prepare_pair
from ..images.warp import to_native
from ..methods import get_method, run_method
from ..methods.tools import TOOLS
from .child import Usage, measure
from .fields import keep_field, read_field
from .scoring import display_slices, score
from .scratch import recall, recalling
from .task import Task, aligning


@dataclass(frozen=True)
class Measured:
    """What the ruler measures of a registration."""

    measures: dict[str, float]
    structures: pd.DataFrame


@dataclass(frozen=True)
class Registered(Measured):
    """A registration that went well: also what it took, its working grid and display slices."""

    usage: Usage
    working_shape: str
    spacing_mm: float
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


def register_pair(
    task: Task, alignment: list[list[float]], scratch: Path, keep: bool, with_slices: bool
) -> Registered:
    """Register one pair and measure the result.

    Parameters
    ----------
    alignment : 4 x 4 numbers
        Fixed voxel -> moving voxel.
    scratch : Path
        Folder that the children of the pair share.
    keep : bool
        Whether the displacement is kept for measures to come.
    with_slices : bool
        Whether slices for the panels are cut.
    """
    cohort, matrix = recalling(task.get_cohort(), scratch), np.array(alignment)
    native, usage, images = compute_displacement(cohort, task, matrix, scratch)
    if keep:
        with contextlib.suppress(OSError):  # a full cache costs the field, not the result
            keep_field(task.key, native, matrix)
    done = _measure(cohort, task, native)
    slices = display_slices(cohort, task.pair, native) if with_slices else None
    working_shape = "x".join(map(str, images.fixed.shape))
    spacing_mm = float(np.prod(images.spacing_mm) ** (1 / 3))
    return Registered(done.measures, done.structures, usage, working_shape, spacing_mm, slices)


def compute_displacement(
    cohort: Cohort, task: Task, alignment: np.ndarray, scratch: Path
) -> tuple[np.ndarray, Usage, PairImages]:
    """Native displacement of a pair, what it took, and the pair as the method was given it."""
    images = _prepare(cohort, task, alignment, scratch)
    spec, parameters = get_method(task.method), task.full_parameters()
    if spec.weights is not None:
        parameters["weights"] = str(fetch(spec.weights, quiet=True))
    with measure() as usage:
        field = run_method(spec, images, parameters)
    shape = cohort.load_image(task.pair.fixed).shape
    return to_native(field, images.to_fixed, images.to_moving, shape), usage, images


def measure_kept(task: Task, scratch: Path) -> Measured | None:
    """Measure a kept displacement again; None where there is none any more."""
    native = read_field(task.key)
    return None if native is None else _measure(recalling(task.get_cohort(), scratch), task, native)


def _prepare(cohort: Cohort, task: Task, alignment: np.ndarray, scratch: Path) -> PairImages:
    """Both images on the working grid: the same for every method of a pair."""

    def prepare() -> PairImages:
        fixed, moving = cohort.load_image(task.pair.fixed), cohort.load_image(task.pair.moving)
        return prepare_pair(fixed, moving, task.preprocessing, alignment)

    about = [task.cohort, task.images, task.preprocessing.content, alignment.tolist()]
    return recall(scratch, about, prepare)


def _measure(cohort: Cohort, task: Task, native: np.ndarray) -> Measured:
    fixed, moving = (cohort.load_image(s).data for s in (task.pair.fixed, task.pair.moving))
    return Measured(*score(cohort, task.pair, native, images=(fixed, moving)))
