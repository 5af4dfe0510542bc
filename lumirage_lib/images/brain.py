"""Where the brain is in an image, without assuming that air is dark or that dark is 0.

All later steps take 0 for background and what is above for brain. Most images are so; a z-scored one, one
in Hounsfield units or one with a bright background is not, and its centre of mass lies anywhere.
"""

from dataclasses import replace

import numpy as np
import scipy

from ..errors import InputError
from .volumes import Volume

SMALLEST_SIDE = 10  # voxels; with fewer there is no volume to register
SMALLEST_BRAIN = 64  # voxels
SHARED = 0.2  # of the voxels on the faces have one value: that is the background
QUIET = 0.1  # spread on the faces over the range of the image, below which they are background


def find_brain(volume: Volume) -> Volume:
    """The image with 0 for background and its brain above 0; the same object where it is so already.

    Parameters
    ----------
    volume : Volume
        Any intensities. What a value of the faces of the grid is shared by many voxels is background,
        whether dark or bright; else, where values are negative and the faces are all about one level,
        what lies about that level.

    Returns
    -------
    Volume
        `volume` itself where no value is negative and the background is 0 or cannot be told. Else inside
        the brain the values less the lowest of them, a thousandth of their range above 0; a note says so.

    Raises
    ------
    InputError
        There is nothing to register: too few voxels along an axis or above the background, or one value
        everywhere.

    Examples
    --------
    >>> image = np.full((12, 12, 12), -2.0)
    >>> image[4:8, 4:8, 4:8] = np.linspace(-1, 1, 64).reshape(4, 4, 4)
    >>> found = find_brain(Volume(image, np.eye(4)))
    >>> float(found.data[0, 0, 0]), round(float(found.data[found.data > 0].min()), 4)
    (0.0, 0.002)
    """
    data = volume.data
    if min(data.shape) < SMALLEST_SIDE:
        raise InputError(
            f"{volume.name}: {' x '.join(map(str, data.shape))} voxels; expected at least {SMALLEST_SIDE} "
            "along each axis: a slice or a thin slab cannot be registered as a volume"
        )
    low, high = float(data.min()), float(data.max())
    if high <= low:
        raise InputError(
            f"{volume.name}: every voxel is {low:g}; expected an image of a brain, check the file"
        )
    faces = np.concatenate([data.take(i, axis).ravel() for axis in range(3) for i in (0, -1)])
    level = _shared_value(faces)
    if low >= 0 and level in (None, 0.0):
        _check_brain(data > 0, volume.name)
        return volume
    if level is not None:
        brain = data != level
    else:
        level = float(np.median(faces))
        spread = 1.4826 * float(np.median(np.abs(faces - level)))
        reach = float(np.percentile(np.abs(data - level), 99))
        if spread >= QUIET * reach:  # no background in sight: the brain fills the grid
            brain = np.ones(data.shape, bool)
        else:
            smooth = scipy.ndimage.gaussian_filter(data.astype(np.float32), 1.0)
            brain = _largest(np.abs(smooth - level) > max(3 * spread, QUIET * reach))
    brain = scipy.ndimage.binary_fill_holes(brain)
    _check_brain(brain, volume.name)
    lowest, top = float(data[brain].min()), float(data[brain].max())
    step = (top - lowest) / 1000
    if step == 0:
        raise InputError(
            f"{volume.name}: all that differs from the background is {top:g}; a mask is no image"
        )
    shifted = np.where(brain, data - lowest + step, 0).astype(np.float32)
    note = (
        f"{volume.name}: background {level:.3g} and values from {lowest:.3g} to {top:.3g}; moved so that "
        "background is 0 and the brain above it"
    )
    return replace(volume, data=shifted, notes=(*volume.notes, note))


def _shared_value(faces: np.ndarray) -> float | None:
    values, counts = np.unique(faces, return_counts=True)
    most = int(counts.argmax())
    return float(values[most]) if counts[most] >= SHARED * faces.size else None


def _largest(mask: np.ndarray) -> np.ndarray:
    parts, count = scipy.ndimage.label(mask)
    if count < 2:
        return mask
    return np.asarray(parts == 1 + np.bincount(parts.ravel())[1:].argmax())


def _check_brain(brain: np.ndarray, name: str) -> None:
    count = int(np.count_nonzero(brain))
    if count < SMALLEST_BRAIN:
        raise InputError(
            f"{name}: {count} voxels differ from the background; expected a brain of at least "
            f"{SMALLEST_BRAIN}, check the file"
        )
