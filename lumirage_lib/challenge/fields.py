"""Displacements as the challenge accepts them."""

from pathlib import Path

import numpy as np

from ..images.reading import read_arrays, read_header
from ..images.warp import check_displacement, load_displacement


def load_field(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """A displacement as the challenge accepts it, float32 (3, X, Y, Z), and its affine if any.

    NIfTI holds it in float32; NumPy's `.npz`, under "arr_0", in float16 or float32 and without
    an affine. The components are the first axis or the last.

    Raises
    ------
    InputError
        If the file is not readable as a finite displacement; the message names it.
    """
    path = Path(path)
    if path.suffix != ".npz":
        header = read_header(
            path, assume="RAS"
        )  # most say nothing, and their components are indices
        placed = header.placed and abs(np.linalg.det(header.affine[:3, :3])) > 1e-9
        return load_displacement(path), header.affine if placed else None
    field = read_arrays(path, ["arr_0"])["arr_0"]
    if field.ndim == 4 and field.shape[0] != 3:
        field = np.moveaxis(field, -1, 0)
    return check_displacement(np.ascontiguousarray(field), where=str(path)), None
