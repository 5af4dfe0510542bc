"""Weights on this machine: those that ship with the library, and those a user has added.

Either folder holds `NAME.safetensors` files, which say in their header which network they are of
and how it was trained, and a `SHA256SUMS` that pins their bytes. To the rest of the library they
are sources like any other, that need no fetching.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import pooch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...cohorts.sources import Source, cache_folder
from ...errors import InputError, WeightsError
from .vfa import VFA, infer_options
from .weights import check_state, read_state

SHIPPED = Path(__file__).parents[2] / "data" / "weights"
SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Local:
    """Weights on this machine.

    `source` hands them out. `about` is what their header says: `network`, `multiple_of` which the
    sides must be, `spacing_mm` and `grid` (as 80x96x80) of the training images, `licence`, and
    whatever else was written into it.
    """

    name: str
    source: Source
    about: Mapping[str, str]


def user_folder() -> Path:
    """Where added weights are kept, beside what was downloaded; may not exist yet."""
    return cache_folder() / "weights"


def find_local() -> dict[str, Local]:
    """All weights on this machine by name; of two with one name the shipped ones.

    Raises
    ------
    WeightsError
        A file that `SHA256SUMS` names is not there or cannot be read.
    """
    found: dict[str, Local] = {}
    for folder in (SHIPPED, user_folder()):
        if (folder / SUMS).is_file():
            for line in (folder / SUMS).read_text(encoding="utf-8").splitlines():
                sha256, _, file = line.partition("  ")
                name = file.removesuffix(".safetensors")
                found.setdefault(name, _describe(folder, name, sha256))
    return found


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
        "vfa": its options are read off the shapes of the checkpoint.
    path : Path
        Whatever :func:`lumirage_lib.methods.networks.load_weights` reads; it is only read.
    about : mapping
        What to write into the header: `spacing_mm`, `grid` and `licence`, and more if wanted.
    params : Path, optional
        Hyper-parameters to check the tensors against; see :func:`check_params`.
    taken : collection of str
        Names that other methods have.

    Raises
    ------
    WeightsError
        The file does not hold exactly the tensors of that network, or not those of `params`.
    InputError
        Another network, a name that is none, or one that is taken.
    """
    if network != "vfa":
        raise InputError(f"expected weights of vfa, got {network!r}: others are public sources")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise InputError(f"name {name!r}: expected small letters, digits and hyphens")
    if name in taken:
        raise InputError(f"there is a method {name} already; choose another name")
    state = read_state(Path(path))
    check_state(state, VFA(**infer_options(state)), Path(path).name)
    if params is not None:
        check_params(params, state)
    folder = user_folder()
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(state, folder / f"{name}.safetensors", about)
    write_sums(folder)
    return find_local()[name]


def save_weights(state: Mapping[str, Tensor], path: Path, about: Mapping[str, str]) -> None:
    """Write the state of a VFA network with its header, in one step."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    multiple = VFA(**infer_options(state)).required_multiple
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        save_file(tensors, part, {"network": "vfa", "multiple_of": str(multiple), **about})
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


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
    try:
        model = dict(json.loads(Path(path).read_text(encoding="utf-8"))["model"])
    except (OSError, ValueError, KeyError, TypeError) as error:
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


def write_sums(folder: Path) -> None:
    """Pin the bytes of every weights file of a folder."""
    paths = sorted(folder.glob("[!.]*.safetensors"))
    lines = [f"{pooch.file_hash(str(path), alg='sha256')}  {path.name}\n" for path in paths]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def _describe(folder: Path, name: str, sha256: str) -> Local:
    path = folder / f"{name}.safetensors"
    try:
        size = path.stat().st_size
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        fix = (
            "install the library again" if folder == SHIPPED else "`lumirage weights add` it again"
        )
        raise WeightsError(f"expected the weights {name} at {path}, but {error}; {fix}") from error
    licence = about.get("licence", "not stated")
    source = Source("lumirage", "local", path.name, sha256, size, licence, str(folder))
    return Local(name, source, about)
