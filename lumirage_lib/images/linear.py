"""Linear alignment of two images through antspyx, and what carries arrays to ANTs and back."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from ..errors import InputError, RegistrationError
from .brain import find_brain
from .volumes import Volume, translation
from .warp import LPS

SEED = "20261122"
KINDS = ("affine", "rigid", "centre")
THREADS = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"


@contextmanager
def seeded() -> Iterator[None]:
    """Within it antspyx draws the same samples each time.

    Mattes mutual information samples at random; antspyx hands a seed on only through a variable of
    the environment.
    """
    before = os.environ.get("ANTS_RANDOM_SEED")
    os.environ["ANTS_RANDOM_SEED"] = SEED
    try:
        yield
    finally:
        if before is None:
            del os.environ["ANTS_RANDOM_SEED"]
        else:
            os.environ["ANTS_RANDOM_SEED"] = before


def to_ants(data: np.ndarray, affine: np.ndarray) -> Any:
    """antspyx image of an array and its RAS+ affine."""
    import ants

    lps = LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    return ants.from_numpy(
        np.ascontiguousarray(data, np.float32),
        origin=lps[:3, 3].tolist(),
        spacing=spacing.tolist(),
        direction=lps[:3, :3] / spacing,
    )


def from_ants(image: Any) -> np.ndarray:
    return np.asarray(image.numpy(), np.float32)


def matrix_of_ants(transform: Any) -> np.ndarray:
    """4x4 matrix, RAS+ mm, fixed point -> moving point, of an ITK matrix-offset transform.

    ITK: ``y = A (x - c) + c + t`` in LPS+ millimetres.
    """
    parameters = np.asarray(transform.parameters, float)
    centre = np.asarray(transform.fixed_parameters, float)
    matrix = np.eye(4)
    matrix[:3, :3] = parameters[:9].reshape(3, 3)
    matrix[:3, 3] = parameters[9:12] + centre - matrix[:3, :3] @ centre
    return np.asarray(LPS @ matrix @ LPS)


def centre_alignment(fixed: Volume, moving: Volume) -> np.ndarray:
    """Voxel map fixed -> moving that puts the centres of mass together, in millimetres."""
    world = []
    for volume in (fixed, moving):
        centre = np.array(scipy.ndimage.center_of_mass(volume.data))
        if not np.isfinite(centre).all():
            raise InputError(f"{volume.name}: the image is empty, it has no centre of mass")
        world.append((volume.affine @ [*centre, 1])[:3])
    shift = translation(world[1] - world[0])
    return np.asarray(np.linalg.inv(moving.affine) @ shift @ fixed.affine)


def _align_on_one_thread(fixed: Volume, moving: Volume, kind: str) -> np.ndarray:
    """:func:`align` in a process in which ITK, which asks only once, is told of one thread."""
    code = (
        f"import sys; sys.path += {sys.path!r}; "
        f"from {__name__} import _align_files; _align_files(*sys.argv[1:])"
    )
    with tempfile.TemporaryDirectory() as folder:
        given, found = str(Path(folder) / "pair.npz"), str(Path(folder) / "matrix.npy")
        arrays = (fixed.data, fixed.affine, moving.data, moving.affine)
        np.savez(given, *arrays)
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, given, kind, found],
            env={**os.environ, THREADS: "1"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            said = (done.stderr.splitlines() or [f"exit code {done.returncode}"])[-1]
            raise RegistrationError(f"{moving.name} onto {fixed.name}: no alignment, {said}")
        matrix: np.ndarray = np.load(found)
        return matrix


def _align_files(given: str, kind: str, found: str) -> None:
    with np.load(given) as arrays:
        fixed, fixed_affine, moving, moving_affine = (arrays[f"arr_{i}"] for i in range(4))
    np.save(found, align(Volume(fixed, fixed_affine), Volume(moving, moving_affine), kind))


def align(fixed: Volume, moving: Volume, kind: str = "affine") -> np.ndarray:
    """Estimate the linear alignment of a pair, once, for all methods, on the brains it finds.

    Parameters
    ----------
    fixed, moving : Volume
        Native images, same contrast or not (Mattes mutual information).
    kind : {"affine", "rigid", "centre"}

    Returns
    -------
    ndarray (4, 4)
        Fixed voxel -> moving voxel.

    Notes
    -----
    antspyx ``Affine``/``Rigid`` (Avants et al. 2011) from the centres of mass. On one thread, whatever
    is set: the sums of several differ in the last digits and the optimiser ends elsewhere (0.529 to
    0.539 in Dice over four calls), so that no published row could be found again.
    """
    if kind not in KINDS:
        raise InputError(f"alignment {kind!r}: expected one of {', '.join(KINDS)}")
    fixed, moving = find_brain(fixed), find_brain(moving)
    if kind == "centre":
        return centre_alignment(fixed, moving)
    if os.environ.get(THREADS) != "1":
        return _align_on_one_thread(fixed, moving, kind)
    import ants

    with tempfile.TemporaryDirectory() as folder, seeded():
        result = ants.registration(
            to_ants(fixed.data, fixed.affine),
            to_ants(moving.data, moving.affine),
            type_of_transform=kind.capitalize(),
            outprefix=str(Path(folder) / "align_"),
        )
        world = matrix_of_ants(ants.read_transform(result["fwdtransforms"][0]))
    return np.asarray(np.linalg.inv(moving.affine) @ world @ fixed.affine)
