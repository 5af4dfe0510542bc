"""How alike two images are after warping."""

import numpy as np
import scipy

from ..errors import InputError
from ..images.warp import check_displacement
from ._checks import check_mask


def compute_correlation(
    fixed: np.ndarray, moving: np.ndarray, displacement: np.ndarray, mask: np.ndarray
) -> float:
    """Pearson correlation of the fixed and the moved image over a mask.

    Parameters
    ----------
    fixed : (X, Y, Z) array
    moving : (A, B, C) array
    displacement : (3, X, Y, Z) float array
        Voxels, moved(x) = moving(x + displacement(x)), linear, 0 outside the moving image.
    mask : (X, Y, Z) array, above zero inside

    Returns
    -------
    float
        NaN where either image is constant over the mask, or the mask is empty.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.random.default_rng(0).random((6, 6, 6))
    >>> compute_correlation(image, 5 - image, np.zeros((3, 6, 6, 6)), image > 0)
    -1.0
    """
    displacement = check_displacement(displacement, np.shape(fixed))
    mask = check_mask(mask, displacement.shape[1:])
    if np.ndim(moving) != 3:
        raise InputError(f"moving: expected a 3D image, got shape {np.shape(moving)}.")
    points = np.stack(np.nonzero(mask)) + displacement[:, mask]
    moved = scipy.ndimage.map_coordinates(np.asarray(moving), points, np.float64, order=1)
    a, b = (v - v.mean() if v.size else v for v in (np.asarray(fixed, np.float64)[mask], moved))
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(np.clip(a @ b / scale, -1, 1)) if scale > 0 else float("nan")
