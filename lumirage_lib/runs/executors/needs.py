"""What a registration will take, so that it is placed where that fits."""

import functools
from collections.abc import Sequence
from math import ceil, prod
from typing import Any

from ...cohorts import Scan, get_cohort
from ...methods import get_method
from ...methods.networks.catalogue import BUILDERS
from ...methods.networks.memory import MB, Shape, count_tensors
from ..task import Task

PROCESS_MB = 1000.0  # interpreter and libraries, and the images and labels of a pair at 1 mm
# The most that an iterative method of the published run took above that, a voxel of its grid.
BYTES_A_VOXEL = 500


def predict_mb(task: Task) -> float:
    """Upper bound of the memory of one registration, MB.

    Of a network, what is counted on its graph; of others, what the published run has shown.
    """
    spec, grid = get_method(task.method), _find_grid(task)
    network = spec.id.removesuffix("+io").removesuffix("@grid")
    held = prod(grid) * BYTES_A_VOXEL / MB
    if network not in BUILDERS:
        return PROCESS_MB + held
    need = spec.input
    largest = [max(pair) for pair in zip(grid, need.grid or grid, strict=True)]
    first, second, third = (ceil(n / need.multiple_of) * need.multiple_of for n in largest)
    return PROCESS_MB + max(held, _count(network, (first, second, third)))


@functools.cache
def _count(network: str, grid: Shape) -> float:
    return sum(count_tensors(network, grid))


def _find_grid(task: Task) -> Shape:
    """Working grid of a pair, not smaller than it will be: that of the fixed image, resampled."""
    shape, spacing_mm = _read_grid(task.cohort, task.cohort_options, task.pair.fixed)
    steps = (dict(s.arguments) for s in task.preprocessing.pair_steps if s.name == "set_spacing")
    wanted = float(next(steps, {}).get("spacing_mm", 0))
    first, second, third = (
        ceil(n * (mm / wanted if wanted else 1.0)) for n, mm in zip(shape, spacing_mm, strict=True)
    )
    return first, second, third


@functools.cache
def _read_grid(
    cohort: str, options: tuple[tuple[str, Any], ...], scan: Scan
) -> tuple[Sequence[int], Sequence[float]]:
    image = get_cohort(cohort, **dict(options)).load_image(scan)
    return image.shape, image.spacing_mm
