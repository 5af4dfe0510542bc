"""Files of images and arrays, believed only when they are whole and say where they are.

A compressed file is read to its end, so that its checksum is reached: what stops at the last voxel
takes flipped bits for data. Sizes are checked in the header, before memory is asked for.
"""

import gzip
import io
import math
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.freesurfer.mghformat import MGHImage

from ..errors import InputError

MAX_VOXELS = 2**29  # 2 GB in float32, eight times a human head at 0.5 mm
SLACK_BYTES = 1 << 20  # what may follow the voxels: the tags of an MGH file
Shape = Sequence[int] | np.ndarray  # of a grid, voxels along each axis
UNITS_MM = {"mm": 1.0, "meter": 1000.0, "micron": 0.001, "unknown": 1.0}
SKEW = 0.2  # cosine between axes beyond which a header is wrong: no scanner's voxels lean so
SAME_MM = 1e-2  # affines that differ by less in every entry are the same grid
AXES = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}


@dataclass(frozen=True, eq=False)
class Header:
    """What a file says of its image before a voxel is read.

    Attributes
    ----------
    shape : tuple of int
        As stored, trailing axes of length one left out beyond the third.
    affine : ndarray (4, 4)
        Voxel index -> world, mm, RAS+.
    placed : bool
        The file says how its axes lie; otherwise that was assumed.
    notes : tuple of str
        What had to be assumed or chosen, a sentence each.
    image : nibabel image
        Its data not read yet.
    """

    shape: tuple[int, ...]
    affine: np.ndarray
    placed: bool
    notes: tuple[str, ...]
    image: Any


def check_size(shape: Shape, where: str) -> None:
    """Refuse a grid that no memory would hold.

    Raises
    ------
    InputError
        More than :data:`MAX_VOXELS` voxels.
    """
    count = math.prod(int(n) for n in shape)
    if count > MAX_VOXELS:
        sides = " x ".join(str(int(n)) for n in shape)
        raise InputError(
            f"{where}: {sides} voxels would take {4 * count / 1e9:.0f} GB; expected at most "
            f"{MAX_VOXELS:,} voxels: resample the image to larger voxels, or correct their size in the "
            "header if that is wrong"
        )


def check_affine(affine: np.ndarray, where: str) -> None:
    """Refuse a matrix that gives voxels no place or no size.

    Raises
    ------
    InputError
        Not 4x4, not finite, or singular.
    """
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        shown = " ".join(str(affine).split())
        raise InputError(
            f"{where}: the affine must be a finite 4x4 matrix, got {shown}; repair the header"
        )
    if abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InputError(
            f"{where}: the affine is singular (determinant 0), so voxels have no size; "
            "repair the header, e.g. with `nibabel.Nifti1Image(data, affine)`"
        )


def check_angles(affine: np.ndarray, where: str) -> None:
    """Refuse the header of a file whose voxels are no boxes, so that distances along axes mislead.

    Raises
    ------
    InputError
        Two axes are more than some 12 degrees off the right angle.
    """
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosine = np.abs(axes.T @ axes - np.eye(3)).max()
    if cosine > SKEW:
        raise InputError(
            f"{where}: two axes of its header meet at {np.degrees(np.arccos(min(cosine, 1))):.0f} "
            "degrees, expected 90; repair the header (sform), or resample the image"
        )


def read_header(path: str | Path, assume: str = "") -> Header:
    """Shape and place of a NIfTI or MGH file.

    Parameters
    ----------
    path : path
    assume : str
        Axis codes such as "RAS" or "LPS", taken where the file does not say how its axes lie.

    Raises
    ------
    InputError
        Missing, of another kind, unreadable, too large, or without orientation and nothing assumed.
    """
    path = Path(path)
    if not path.name.lower().endswith((".nii", ".nii.gz", ".mgh", ".mgz")):
        raise InputError(
            f"{path}: expected a NIfTI or MGH file, whose name ends in .nii, .nii.gz, .mgh or .mgz; "
            "convert it"
        )
    try:
        image: Any = nib.load(path, mmap=False)
        shape = tuple(int(n) for n in image.shape)
        affine: np.ndarray = np.asarray(image.affine, float)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except Exception as error:  # nibabel raises many kinds for broken files
        raise _unreadable(path, error) from error
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    check_size(shape, str(path))
    if 0 in shape:
        raise InputError(f"{path}: its grid {shape} holds no voxel; write or download it again")
    return Header(shape, *_locate(path, image, affine, assume), image)


def _locate(
    path: Path, image: Any, affine: np.ndarray, assume: str
) -> tuple[np.ndarray, bool, tuple[str, ...]]:
    """World matrix in mm, whether the file gives it, and what had to be assumed or chosen for it."""
    notes: list[str] = []
    header = image.header
    if isinstance(image, MGHImage):
        with (gzip.open if path.name.lower().endswith("z") else open)(path, "rb") as file:
            # The flag by which it gives its orientation; nibabel sets it where it is not set.
            scale, said = 1.0, int.from_bytes(file.read(30)[28:], "big", signed=True) > 0
    else:
        unit = header.get_xyzt_units()[0]
        scale = UNITS_MM[unit]
        if unit == "unknown":
            notes.append(f"{path.name}: its header gives no unit of length; taken as mm")
        elif scale != 1:
            notes.append(f"{path.name}: its header counts in {unit}s; converted to mm")
        sform, qform = (int(header[f"{kind}_code"]) for kind in ("sform", "qform"))
        said = bool(sform or qform)
        if sform and qform:
            apart = np.abs(header.get_sform() - header.get_qform()).max() * scale
            if apart > SAME_MM:
                notes.append(
                    f"{path.name}: its sform and qform differ by up to {apart:.3g} mm; sform is used"
                )
    if not said:
        affine = _assume(path, image, assume)
        notes.append(f"{path.name}: its header does not say how its axes lie; taken as {assume}")
    return np.diag([scale, scale, scale, 1.0]) @ affine, said, tuple(notes)


def _assume(path: Path, image: Any, codes: str) -> np.ndarray:
    """The affine of an image with these axis codes and its own voxel sizes, centred on the origin."""
    if not codes:
        raise InputError(
            f"{path}: its header (sform and qform code 0) does not say how its axes lie, so left and "
            "right cannot be told; repair the header, or say it to `lumirage register` with --assume RAS "
            "(or LPS, LIA, …) if you know"
        )
    if sorted(AXES[c][0] if c in AXES else -1 for c in codes) != [0, 1, 2]:
        raise InputError(
            f"--assume {codes}: expected three letters, one of each of L/R, A/P, I/S, such as RAS"
        )
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    sizes, shape = (*image.header.get_zooms(), 1, 1), (*image.shape, 1, 1)
    for axis, code in enumerate(codes):
        row, sign = AXES[code]
        affine[row, axis] = sign * float(sizes[axis])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape[:3]) - 1) / 2)
    return affine


def read_data(path: str | Path, header: Header, dtype: Any = None) -> np.ndarray:
    """The voxels of a file whose header was read, its bytes checked to the end.

    Parameters
    ----------
    dtype : numpy dtype, optional
        To read scaled values as; otherwise as they come.

    Raises
    ------
    InputError
        The file is cut off, its checksum is wrong, or it holds more than its header says.
    """
    path, image = Path(path), header.image
    try:
        if path.name.lower().endswith(("gz", "mgz")):
            image = type(image).from_bytes(_decompress(path, image))
        with np.errstate(all="ignore"):  # what overflows is infinite, which is told
            data = np.asanyarray(image.dataobj) if dtype is None else image.get_fdata(dtype=dtype)
    except InputError:
        raise
    except Exception as error:  # nibabel, zlib and the system raise many kinds
        raise _unreadable(path, error) from error
    shaped: np.ndarray = data.reshape(header.shape)
    return shaped


def _decompress(path: Path, image: Any) -> bytes:
    """All bytes of a gzip file; zlib checks the sum at the end of each member."""
    end = int(image.dataobj.offset) + math.prod(image.shape) * image.get_data_dtype().itemsize
    packed, pieces, left = path.read_bytes(), [], end + SLACK_BYTES
    while packed.strip(b"\0"):
        unpack = zlib.decompressobj(31)
        pieces.append(unpack.decompress(packed, left))
        left -= len(pieces[-1])
        if left <= 0:
            raise InputError(
                f"{path}: it holds more than its header says; write or download it again"
            )
        if not unpack.eof:
            raise EOFError("it ends before its checksum")
        packed = unpack.unused_data
    return b"".join(pieces)


def _unreadable(path: Path, error: Exception) -> InputError:
    what = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return InputError(
        f"{path}: not a readable NIfTI or MGH image ({what}); "
        "the file may be truncated: copy or download it again; or packed and not named .gz, or the other way "
        "round: rename it"
    )


def read_arrays(path: str | Path, only: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """The arrays of a NumPy ``.npz`` file, each checked to its end; nothing in it is executed.

    Parameters
    ----------
    path : path
    only : sequence of str
        The arrays to read, all must be there; else every one.

    Raises
    ------
    InputError
        Missing, damaged, too large, or with an array of Python objects.
    """
    path = Path(path)
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            there = [name.removesuffix(".npy") for name in archive.namelist()]
            for name in only or there:
                if name not in there:
                    raise InputError(
                        f"{path}: expected an array {name!r}, found {', '.join(there)}"
                    )
                with archive.open(f"{name}.npy") as member:
                    major, _ = np.lib.format.read_magic(member)
                    read = "read_array_header_1_0" if major == 1 else "read_array_header_2_0"
                    check_size(getattr(np.lib.format, read)(member)[0], f"{path}, {name}")
                # Read whole: zipfile compares the checksum only at the very end of a member.
                content = io.BytesIO(archive.read(f"{name}.npy"))
                arrays[name] = np.lib.format.read_array(content, allow_pickle=False)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except Exception as error:  # zipfile, zlib and numpy raise many kinds for broken files
        raise InputError(
            f"{path}: not a readable .npz file of arrays ({error}); write or copy it again"
        ) from error
    return arrays
