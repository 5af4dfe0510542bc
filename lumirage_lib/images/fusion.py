"""Labels for a scan that has none: joint fusion of labelled atlases registered to it.

Wang, H. et al. (2013), Multi-atlas segmentation with joint label fusion, IEEE TPAMI 35(3):611-623:
where several atlases are wrong in the same place they are likely wrong together, so weights are taken
from how the atlases' intensity errors coincide, not from each atlas alone. Left out of the paper is the
search for a better matching patch nearby. The atlases are registered by a function that is handed in:
methods lie above images.
"""

from collections.abc import Callable, Sequence

import numpy as np
import scipy

from ..errors import InputError
from .volumes import Volume
from .warp import warp_image, warp_labels

FUSION = 1  # raised when the same atlases give other labels
CHUNK = 50_000  # voxels whose weights are solved for at a time
# register(target, atlas) -> displacement (3, X, Y, Z) on the target's grid, voxels of the atlas' array.
Register = Callable[[Volume, Volume], np.ndarray]


def compute_weights(
    target: np.ndarray,
    atlases: np.ndarray,
    where: np.ndarray,
    *,
    radius: int = 2,
    beta: float = 2.0,
    alpha: float = 0.1,
) -> np.ndarray:
    """Weight of every atlas at every voxel asked for.

    Parameters
    ----------
    target : ndarray, shape (X, Y, Z)
    atlases : ndarray, shape (n, X, Y, Z)
        Moved images on the same grid and intensity scale.
    where : ndarray of bool, shape (X, Y, Z)
    radius : int
        Of the cubic patch, voxels.
    beta : float
        Exponent of the expected error of two atlases together (Wang et al., eq. 17).
    alpha : float
        Added to the diagonal, as a share of its mean.

    Returns
    -------
    ndarray of float32, shape (n, number of voxels)
        ``M^-1 1 / (1' M^-1 1)`` (eq. 8); sums to 1 over atlases, single weights may be negative.
    """
    n, size = len(atlases), 2 * radius + 1
    error = np.abs(atlases - target)
    pairs = [(i, j) for i in range(n) for j in range(i, n)]
    together = np.empty((len(pairs), int(where.sum())), np.float32)
    for row, (i, j) in enumerate(pairs):
        together[row] = scipy.ndimage.uniform_filter(error[i] * error[j], size)[where] ** beta
    rows, columns = np.array(pairs).T
    weights = np.empty((n, together.shape[1]), np.float32)
    for start in range(0, together.shape[1], CHUNK):
        part = together[:, start : start + CHUNK].T.astype(float)
        matrix = np.empty((len(part), n, n))
        matrix[:, rows, columns] = matrix[:, columns, rows] = part
        diagonal = np.einsum("vii->v", matrix) / n
        matrix += (alpha * diagonal + 1e-12)[:, None, None] * np.eye(n)
        solved = np.linalg.solve(matrix, np.ones((len(part), n, 1)))[..., 0]
        weights[:, start : start + CHUNK] = (solved / solved.sum(axis=1, keepdims=True)).T
    return weights


def vote(labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Label with the largest sum of weights; ties go to the first atlas that has one of them.

    Parameters
    ----------
    labels, weights : ndarray, shape (n, number of voxels)
    """
    best = np.full(labels.shape[1], -np.inf, np.float32)
    out = labels[0].copy()
    for candidate in labels:
        support = ((labels == candidate) * weights).sum(axis=0)
        better = support > best + 1e-6
        out[better], best[better] = candidate[better], support[better]
    return np.asarray(out)


def _standardise(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    inside = image[brain]
    return np.asarray((image - inside.mean()) / max(float(inside.std()), 1e-9), np.float32)


def carry_atlases(
    target: Volume, atlases: Sequence[tuple[Volume, Sequence[Volume]]], register: Register
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Every atlas on the target's grid.

    Parameters
    ----------
    atlases : sequence of (image, label maps)
        Every atlas with the same kinds of label maps in the same order.
    register : callable
        See :data:`Register`.

    Returns
    -------
    images : ndarray, shape (n, X, Y, Z)
        Standardised within the target's brain.
    labels : list of ndarray, shape (n, X, Y, Z)
        One per kind of label map.
    """
    brain, images, labels = target.data > 0, [], []
    for image, maps in atlases:
        displacement = register(target, image)
        images.append(_standardise(warp_image(image.data, displacement), brain))
        labels.append([warp_labels(m.data.astype(np.int16), displacement) for m in maps])
    return np.stack(images), [np.stack(kind) for kind in zip(*labels, strict=True)]


def fuse(target: Volume, images: np.ndarray, labels: Sequence[np.ndarray]) -> list[np.ndarray]:
    """One label map of each kind for the target, from atlases that were carried onto it.

    Parameters
    ----------
    target : Volume
        Skull-stripped; outside its brain (0) the result is 0.
    images, labels
        See :func:`carry_atlases`.

    Raises
    ------
    InputError
        Fewer than two atlases.
    """
    if len(images) < 2:
        raise InputError(f"{target.name}: {len(images)} atlas to fuse, expected two or more")
    brain = target.data > 0
    # Where all atlases agree, in every kind of map, there is nothing to weigh.
    unsure = brain & np.any([(kind != kind[0]).any(axis=0) for kind in labels], axis=0)
    weights = compute_weights(_standardise(target.data, brain), images, unsure)
    out = []
    for kind in labels:
        fused = np.where(brain, kind[0], 0)
        fused[unsure] = vote(kind[:, unsure], weights)
        out.append(fused)
    return out
