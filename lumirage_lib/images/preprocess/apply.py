"""A preprocessing carried out."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import scipy

from ...errors import InputError
from ..brain import find_brain
from ..volumes import Volume
from . import perturbations, steps
from .conditions import Preprocessing, Step
from .state import PairImages

State = TypeVar("State", Volume, PairImages)
PAIR_STEPS = {**steps.PAIR_STEPS, **perturbations.PAIR_STEPS}


def _apply(known: Mapping[str, Callable[..., State]], which: Step, value: State) -> State:
    if which.name not in known:
        raise InputError(
            f"preprocessing step {which.name!r} is unknown; there are {', '.join(sorted(known))}"
        )
    return known[which.name](value, **dict(which.arguments))


def prepare_image(volume: Volume, preprocessing: Preprocessing) -> Volume:
    """Find the brain and apply the steps that concern one image."""
    volume = find_brain(volume)
    for which in preprocessing.image_steps:
        volume = _apply(steps.IMAGE_STEPS, which, volume)
    return volume


def prepare_pair(
    fixed: Volume, moving: Volume, preprocessing: Preprocessing, alignment: np.ndarray
) -> PairImages:
    """Bring two native images to the working grid.

    Parameters
    ----------
    fixed, moving : Volume
        Native, canonical RAS.
    alignment : ndarray (4, 4)
        Native fixed voxel -> native moving voxel (see :func:`lumirage_lib.images.linear.align`).
    """
    fixed, moving = (prepare_image(v, preprocessing) for v in (fixed, moving))
    on_fixed = scipy.ndimage.affine_transform(
        moving.data, alignment[:3, :3], alignment[:3, 3], fixed.shape, np.float32, order=1
    )
    pair = PairImages(fixed.data, on_fixed, fixed.affine, np.eye(4), np.asarray(alignment, float))
    for which in preprocessing.pair_steps:
        pair = _apply(PAIR_STEPS, which, pair)
    return pair
