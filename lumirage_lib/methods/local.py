"""Weights on this machine: those that ship with the library, and those a user has added.

Either folder holds `NAME.safetensors` files, which say in their header which network they are of
and how it was trained, and a `SHA256SUMS` that pins their bytes. To the rest of the library they
are sources like any other, that need no fetching. One entry's fault is its own: the others stay.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pooch
from safetensors import SafetensorError, safe_open

from ..cohorts.sources import Source, cache_folder
from ..errors import InputError, WeightsError
from ..files import replacing

if TYPE_CHECKING:
    from torch import Tensor

    from .networks import VFA
    from .networks.unigradicon import UniGradICON

SHIPPED = Path(__file__).parents[1] / "data" / "weights"
SUMS = "SHA256SUMS"
NAME = r"[a-z0-9][a-z0-9-]*"
LINE = re.compile(rf"([0-9a-f]{{64}})  ({NAME})\.safetensors")
MOST_VOXELS = 2048  # along an axis of a training image
# Network -> what its method is called unless another name is given.
NETWORKS = {"vfa": "vfa-lumir", "unigradicon": "unigradicon"}


@dataclass(frozen=True)
class Local:
    """Weights on this machine.

    `source` hands them out; `grid`, `spacing_mm` are those of the training images (None where the
    network takes any), `multiple_of` is what the sides must be. `about` is all that their header
    says, as text.
    """

    name: str
    network: str
    source: Source
    grid: tuple[int, int, int] | None
    spacing_mm: float | None
    multiple_of: int
    about: Mapping[str, str]


def user_folder() -> Path:
    """Where added weights are kept, beside what was downloaded; may not exist yet."""
    return cache_folder() / "weights"


def find_local() -> dict[str, Local]:
    """All sound weights on this machine by name; of two with one name the shipped ones."""
    return {name: found for name, found in _read().items() if isinstance(found, Local)}


def find_faults() -> dict[str, str]:
    """Weights that are named but cannot be used: name -> why, and the fix."""
    return {name: str(found) for name, found in _read().items() if not isinstance(found, Local)}


def find_shipped(name: str, folder: Path = SHIPPED) -> Source:
    """The source of shipped weights, whether or not their file is whole."""
    sums = read_sums(folder)
    path = folder / f"{name}.safetensors"
    size = path.stat().st_size if path.is_file() else 0
    return Source("lumirage", "local", path.name, sums.get(name, ""), size, "MIT", str(folder))


def read_header(path: Path) -> dict[str, str]:
    """What a weights file says of itself."""
    with safe_open(path, "numpy") as file:
        return file.metadata() or {}


def add_weights(
    network: str,
    path: Path,
    name: str,
    about: Mapping[str, str],
    params: Path | None = None,
    taken: Collection[str] = (),
) -> Local:
    """Check a checkpoint strictly, convert it to safetensors and keep it under `name`.

    Parameters
    ----------
    network : str
        One of :data:`NETWORKS`; the options of "vfa" are read off the shapes of the checkpoint.
    path : Path
        Whatever :func:`lumirage_lib.methods.networks.load_weights` reads; it is only read.
    about : mapping
        What to write into the header: `licence`, of "vfa" `spacing_mm` and `grid`, and more if wanted.
    params : Path, optional
        Hyper-parameters of "vfa" to check the tensors against; see :func:`check_params`.
    taken : collection of str
        Names that other methods have.

    Raises
    ------
    WeightsError
        The file does not hold exactly the tensors of that network, all finite, or not those of
        `params`.
    InputError
        Another network, a name that is none, or one that is taken; a grid or voxel size that is none,
        or one of a network that has none.
    """
    from .networks.weights import check_finite, check_state, read_state

    if network not in NETWORKS:
        raise InputError(
            f"expected weights of {' or '.join(NETWORKS)}, got {network!r}: others are public sources"
        )
    if not re.fullmatch(NAME, name):
        raise InputError(f"name {name!r}: expected small letters, digits and hyphens")
    if name in taken:
        raise InputError(f"there is a method {name} already; choose another name")
    if network == "vfa":
        _parse_geometry({"multiple_of": "1", **about})
    elif params is not None or {"grid", "spacing_mm"} & about.keys():
        raise InputError(
            f"{network} resizes every image to one grid of its own; leave out --grid, --spacing-mm "
            "and --params"
        )
    state = read_state(Path(path))
    check_state(state, _build(network, state), Path(path).name)
    check_finite(state, Path(path).name)
    if params is not None:
        check_params(params, state)
    folder = user_folder()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.safetensors"
    save_weights(state, file, about, network)
    write_sums(folder, {**read_sums(folder), name: pooch.file_hash(str(file), alg="sha256")})
    return find_local()[name]


def remove_weights(name: str) -> None:
    """Take added weights away: their file, if there is one, and their line.

    Raises
    ------
    InputError
        No added weights have that name; shipped ones stay.
    """
    folder = user_folder()
    sums, faults = read_sums(folder), find_faults()
    path = folder / f"{name}.safetensors"
    if not re.fullmatch(NAME, name) or not (name in sums or name in faults or path.is_file()):
        there = ", ".join(sums) or "none"
        raise InputError(f"no added weights {name!r} in {folder}; there are {there}")
    path.unlink(missing_ok=True)
    write_sums(folder, {key: value for key, value in sums.items() if key != name})


def save_weights(
    state: Mapping[str, Tensor], path: Path, about: Mapping[str, str], network: str = "vfa"
) -> None:
    """Write the state of a network with its header, in one step."""
    from safetensors.torch import save_file

    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    multiple = _build(network, state).required_multiple
    with replacing(path) as part:
        save_file(tensors, part, {"network": network, "multiple_of": str(multiple), **about})


def _build(network: str, state: Mapping[str, Tensor]) -> VFA | UniGradICON:
    """The network whose tensors the state should hold; of VFA with the options it shows."""
    from .networks.unigradicon import UniGradICON
    from .networks.vfa import VFA, infer_options

    if network == "unigradicon":
        return UniGradICON()
    options: dict[str, Any] = infer_options(state)
    return VFA(**options)


def check_params(path: Path, state: Mapping[str, Tensor]) -> None:
    """Refuse a checkpoint whose published hyper-parameters are not those of its shapes.

    Parameters
    ----------
    path : Path
        The `params.json` that the authors' training writes: a section `model` with `downsamples`,
        `start_channels`, `matching_channels`, `skip`, `int_steps` and `affine`.

    Raises
    ------
    WeightsError
        Unreadable, without that section, of another model, with an integrated velocity or an affine
        part (which the tensors do not show), or of other sizes than the tensors have.
    """
    from .networks.vfa import infer_options

    try:
        model = dict(json.loads(Path(path).read_text(encoding="utf-8"))["model"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise WeightsError(
            f"expected a JSON file with a section model at {path}, but {error!r}; give the params "
            "file of the checkpoint, or leave --params away"
        ) from error
    expected = {"name": "VFA", **infer_options(state), "int_steps": 0, "affine": 0}
    for key in sorted(expected.keys() & model.keys()):
        if model[key] != expected[key]:
            raise WeightsError(
                f"expected {key} {expected[key]!r}, as the checkpoint's tensors have it or this "
                f"library computes it, but {Path(path).name} says {model[key]!r}; are they of one run?"
            )


def _parse_geometry(about: Mapping[str, str]) -> tuple[tuple[int, int, int], float, int]:
    """Grid, voxel size and multiple that a header states.

    Raises
    ------
    InputError
        One is absent or none.
    """
    grid = about.get("grid", "")
    sides = [int(n) for n in grid.split("x")] if re.fullmatch(r"\d{1,6}(x\d{1,6}){2}", grid) else []
    if not sides or not all(1 <= n <= MOST_VOXELS for n in sides):
        raise InputError(
            f"grid {grid!r}: expected the three sides of the training images in voxels, each 1 to "
            f"{MOST_VOXELS}, as 160x224x192"
        )
    try:
        spacing_mm = float(about.get("spacing_mm", ""))
    except ValueError:
        spacing_mm = math.nan
    if not 0.01 <= spacing_mm <= 100:
        raise InputError(
            f"voxel size {about.get('spacing_mm')!r}: expected millimetres, 0.01 to 100, as 1.0"
        )
    multiple = about.get("multiple_of", "")
    if not re.fullmatch(r"[1-9]\d{0,3}", multiple):
        raise InputError(f"multiple_of {multiple!r}: expected a positive number of voxels")
    x, y, z = sides
    return (x, y, z), spacing_mm, int(multiple)


def _read() -> dict[str, Local | WeightsError]:
    """Every entry of both folders, or what is wrong with it."""
    found: dict[str, Local | WeightsError] = {}
    for folder in (SHIPPED, user_folder()):
        for name, sha256 in read_sums(folder).items():
            if name not in found:
                try:
                    found[name] = _describe(folder, name, sha256)
                except WeightsError as error:
                    found[name] = error
    return found


def read_sums(folder: Path) -> dict[str, str]:
    """Name -> sha256 of the lines that are such; others were written by nobody here."""
    try:
        text = (folder / SUMS).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return {m[2]: m[1] for line in text.splitlines() if (m := LINE.fullmatch(line))}


def write_sums(folder: Path, sums: Mapping[str, str]) -> None:
    """Pin the bytes of the weights files of a folder, in one step."""
    lines = [f"{sums[name]}  {name}.safetensors\n" for name in sorted(sums)]
    with replacing(folder / SUMS) as part:
        part.write_text("".join(lines), encoding="utf-8")


def _describe(folder: Path, name: str, sha256: str) -> Local:
    path = folder / f"{name}.safetensors"
    try:
        size = path.stat().st_size
        about = read_header(path)
        if about.get("network") not in NETWORKS:
            raise InputError(f"its header names the network {about.get('network')!r}")
        grid, spacing_mm, multiple_of = (
            _parse_geometry(about) if about["network"] == "vfa" else (None, None, 1)
        )
    except (OSError, SafetensorError, InputError) as error:
        fix = (
            "install the library again"
            if folder == SHIPPED
            else f"`lumirage weights add` it again, or `lumirage weights remove {name}`"
        )
        raise WeightsError(f"expected the weights {name} at {path}, but {error}; {fix}") from error
    licence = about.get("licence", "not stated")
    source = Source("lumirage", "local", path.name, sha256, size, licence, str(folder))
    return Local(name, about["network"], source, grid, spacing_mm, multiple_of, about)
