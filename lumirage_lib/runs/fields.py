"""Kept fields: what a registration found, small enough to keep, so that a new or changed measure
re-measures it and nothing is registered again.

Kept is the deformable part, the displacement less the linear alignment, as int16 in steps of 1/512
voxel, packed by zstd; or the displacement itself as float32 where the deformable part goes beyond
60 voxels. Rounding never takes a point into another voxel: labels warped by nearest voxel, and hence
Dice and HD95, are those of the displacement that was registered.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..cohorts.sources import cache_folder
from ..errors import InputError
from ..files import replacing
from ..images.warp import check_displacement, displacement_of_matrix, identity_grid

STEP = np.float32(1 / 512)  # voxels
FARTHEST = 60.0  # voxels; int16 holds 64
MAGIC = b"lumirage field 1\n"
BUDGET_MB = 20_000.0  # of all kept fields of a machine


def encode_field(displacement: np.ndarray, matrix: np.ndarray) -> bytes:
    """Pack a native displacement for keeping.

    Parameters
    ----------
    displacement : (3, X, Y, Z) float array
        Voxels, moved(x) = moving(x + displacement(x)).
    matrix : (4, 4) array
        The shared linear alignment, fixed voxel -> moving voxel, that the displacement holds.

    Returns
    -------
    bytes
        For `decode_field`; within 1/512 voxel of the displacement at every voxel.

    Raises
    ------
    InputError
        If the displacement or the matrix is not finite or has another shape.

    Examples
    --------
    >>> import numpy as np
    >>> displacement = np.full((3, 4, 5, 6), 0.3, np.float32)
    >>> back = decode_field(encode_field(displacement, np.eye(4)))
    >>> bool(np.abs(back - displacement).max() < 1 / 512)
    True
    """
    displacement = check_displacement(displacement)
    matrix = np.asarray(matrix, np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise InputError(f"matrix: expected 4 x 4 finite numbers, got {matrix.tolist()}")
    shape = displacement.shape[1:]
    linear = displacement_of_matrix(matrix, shape)
    deformable = displacement - linear
    values: np.ndarray = displacement
    if np.abs(deformable).max(initial=0) <= FARTHEST:
        steps = _round_within_voxels(deformable, linear, displacement)
        # Neighbours differ little: differences, low and high bytes apart, pack twice as well.
        values = np.diff(steps, axis=-1, prepend=np.int16(0))
    planes = np.ascontiguousarray(values).reshape(-1).view(np.uint8).reshape(-1, values.itemsize).T
    packed: bytes = pa.compress(planes.tobytes(), "zstd", asbytes=True)
    header = {
        "shape": shape,
        "type": values.dtype.str,
        "matrix": matrix.tolist(),
        "sha256": hashlib.sha256(packed).hexdigest(),
    }
    return MAGIC + json.dumps(header).encode() + b"\n" + packed


def decode_field(content: bytes) -> np.ndarray:
    """The displacement that `encode_field` packed, (3, X, Y, Z) float32.

    Raises
    ------
    InputError
        If the bytes are not those of a kept field, to the last one.
    """
    start = content.find(b"\n", len(MAGIC))
    packed = content[start + 1 :]
    try:
        header = json.loads(content[len(MAGIC) : start]) if content.startswith(MAGIC) else None
    except ValueError:
        header = None
    if header is None or hashlib.sha256(packed).hexdigest() != header["sha256"]:
        raise InputError("kept field: expected a whole file of encode_field, got other bytes")
    shape, kind = tuple(header["shape"]), np.dtype(header["type"])
    size = 3 * int(np.prod(shape)) * kind.itemsize
    planes = np.frombuffer(pa.decompress(packed, size, "zstd", asbytes=True), np.uint8)
    values: np.ndarray = np.ascontiguousarray(planes.reshape(kind.itemsize, -1).T).view(kind)
    values = values.reshape(3, *shape)
    if kind.kind == "f":
        return values
    steps = np.cumsum(values, axis=-1, dtype=np.int16)
    linear: np.ndarray = displacement_of_matrix(np.array(header["matrix"]), shape)
    linear += steps * STEP
    return linear


def keep_field(
    key: str, displacement: np.ndarray, matrix: np.ndarray, *, budget_mb: float = BUDGET_MB
) -> bool:
    """Keep the displacement of a registration in the cache of this machine.

    Returns
    -------
    bool
        False where the kept fields together would exceed the budget: then nothing is kept.
    """
    path = _path(key)
    content = encode_field(displacement, matrix)
    others = sum(f.stat().st_size for f in path.parent.glob("*.field") if f != path)
    if others + len(content) > budget_mb * 2**20:
        return False
    with replacing(path) as part:
        part.write_bytes(content)
    return True


def read_field(key: str) -> np.ndarray | None:
    """The kept displacement of a registration; None where there is none or it is damaged.

    A damaged file is removed, so that the registration is done again.
    """
    path = _path(key)
    try:
        return decode_field(path.read_bytes())
    except FileNotFoundError:
        return None
    except InputError:
        path.unlink(missing_ok=True)
        return None


def has_field(key: str) -> bool:
    """Whether a displacement is kept under this key."""
    return _path(key).is_file()


def _path(key: str) -> Path:
    return cache_folder() / "fields" / f"{key}.field"


def _round_within_voxels(
    deformable: np.ndarray, linear: np.ndarray, displacement: np.ndarray
) -> np.ndarray:
    """The nearest step, or the next to it where the nearest would end in another voxel."""
    steps = np.rint(deformable / STEP).astype(np.int16)
    grid = identity_grid(displacement.shape[1:]) + np.float32(0.5)
    for component, start, right, x in zip(steps, linear, displacement, grid, strict=True):
        voxel = np.floor(x + right)
        for _ in range(2):
            off = voxel - np.floor(x + (start + component * STEP))
            component += np.sign(off).astype(np.int16)
    return steps
