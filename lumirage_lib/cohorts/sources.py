"""Public files pinned by repository, commit, path and sha256: fetched, or read from a mirror.

Two settings, read at every call:

- ``LUMIRAGE_MIRROR``: a folder, whose files are used in place, or an http(s) address, laid out
  as ``owner/name/commit/path``. Unset, files come from the public repositories themselves.
- ``LUMIRAGE_CACHE``: a folder for downloads. Unset, the user's cache of the operating system.

Bytes are hashed each time a path is handed out: an image with a flipped bit still opens.
"""

from __future__ import annotations

import csv
import os
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pooch
import requests
from requests.exceptions import RequestException
from tqdm import tqdm
from urllib3.exceptions import MaxRetryError

from ..errors import InputError, SourceError

if TYPE_CHECKING:
    import pandas as pd

PUBLIC_BASE = "https://raw.githubusercontent.com"
PAUSES_SECONDS = (1.0, 4.0)  # between attempts, so one more attempt than pauses
LASTING_STATUS = frozenset({401, 403, 404, 410, 451})  # refusals that another attempt gets again


class _Unreachable(SourceError):
    """No connection was made: the next file would fail the same way."""


@dataclass(frozen=True)
class Source:
    """One public file, pinned: the same bytes for everyone.

    `repository` is ``owner/name``, `path` the path within it at `commit`, `bytes` the size,
    `licence` what the repository states, for the reader to respect. A file that is on this machine
    anyway, and never fetched, names its `folder`.
    """

    repository: str
    commit: str
    path: str
    sha256: str
    bytes: int
    licence: str
    folder: str | None = None

    @property
    def name(self) -> str:
        """What the library calls the file: ``owner/name/path``."""
        return f"{self.repository}/{self.path}"

    @property
    def location(self) -> str:
        """Where a mirror or cache has the file: ``owner/name/commit/path``."""
        return f"{self.repository}/{self.commit}/{self.path}"

    @property
    def size_mb(self) -> float:
        """Size in megabytes (1e6 bytes)."""
        return self.bytes / 1e6


@cache
def load_sources() -> Mapping[str, Source]:
    """Read the registry that comes with the package: every known file by its name (read-only)."""
    text = (files("lumirage_lib") / "data" / "sources.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    parsed: list[dict[str, Any]] = [{**row, "bytes": int(row["bytes"])} for row in rows]
    sources = [Source(**row) for row in parsed]
    return MappingProxyType({source.name: source for source in sources})


def find_sources(repository: str, under: str = "") -> list[Source]:
    """List the known files of a repository (``owner/name``), all or those of the folder `under`.

    Raises
    ------
    InputError
        If no file of that repository, or none in that folder, is known.
    """
    every = load_sources().values()
    found = [source for source in every if source.repository == repository]
    if not found:
        raise InputError(_unknown("repository", repository, {s.repository for s in every}))
    folder = under.strip("/")
    inside = [s for s in found if not folder or s.path.startswith(f"{folder}/")]
    if not inside:
        folders = {str(parent) for s in found for parent in PurePosixPath(s.path).parents}
        raise InputError(_unknown(f"folder of {repository}", folder, folders - {"."}))
    return inside


def get_source(repository: str, path: str) -> Source:
    """Look up one file by its repository (``owner/name``) and its path within it.

    Raises
    ------
    InputError
        If the file is not in the registry; the message names those nearest to it.
    """
    source = load_sources().get(f"{repository}/{path}")
    if source is None:
        known = {source.path for source in find_sources(repository)}
        raise InputError(_unknown(f"file of {repository}", path, known))
    return source


def cache_folder() -> Path:
    """Return the folder for downloads (``LUMIRAGE_CACHE``, or the system's); may not exist yet."""
    chosen = os.environ.get("LUMIRAGE_CACHE")
    return Path(chosen).expanduser().resolve() if chosen else Path(pooch.os_cache("lumirage"))


def get_address(source: Source) -> Path | str:
    """Say where `source` comes from: a path in the mirror folder, or an http(s) address.

    Raises
    ------
    SourceError
        If ``LUMIRAGE_MIRROR`` is neither an existing folder nor an http(s) address.
    """
    if source.folder is not None:
        return Path(source.folder) / source.path
    base = os.environ.get("LUMIRAGE_MIRROR") or PUBLIC_BASE
    if base.startswith(("http://", "https://")):
        return f"{base.rstrip('/')}/{quote(source.location)}"
    folder = Path(base).expanduser().resolve()
    if not folder.is_dir():
        problem = f"LUMIRAGE_MIRROR: expected a folder or an http(s) address, found {base!r}"
        raise SourceError(f"{problem}.\nFix: correct it, or unset it to fetch from {PUBLIC_BASE}")
    return folder / source.location


def is_local(source: Source) -> bool:
    """Tell whether the pinned bytes of `source` can be had without the network."""
    return _fault(_local_path(source), source) is None


def fetch(source: Source, *, quiet: bool = False) -> Path:
    """Return a local file that holds the pinned bytes of `source`, downloading it if need be.

    A file of a mirror folder is used in place. A download takes its place in the cache in one
    step, once its hash is right: nobody meets half a file, and several processes may ask for the
    same one. A cached file that went bad is fetched again. Unless `quiet`, name, size and licence
    are said on stderr before a download, and progress is shown.

    Raises
    ------
    SourceError
        If the file could not be had, or its bytes are not the pinned ones; these are then left
        out of the cache. The message gives size and sha256, expected and found, and the address.
    """
    path, address = _local_path(source), get_address(source)
    if (found := _fault(path, source)) is None:
        return path
    if path == address:
        fix = (
            "copy that file again, or unset LUMIRAGE_MIRROR to fetch the public one"
            if source.folder is None
            else "install the library, or add those weights, again"
        )
        raise SourceError(_refusal(source, found, path, fix))
    if not quiet:
        _announce([source])
    _download(source, str(address), path, quiet=quiet)
    return path


def fetch_all(sources: Iterable[Source], *, quiet: bool = False) -> list[Path]:
    """Fetch many files, as `fetch` does, and return their paths in the order of `sources`.

    Total size and licences are said first; a failure does not stop the rest.

    Raises
    ------
    SourceError
        If any file could not be had: one message lists them all; the others are in place. Once
        the server cannot be reached at all, the files after that are not tried.
    """
    wanted = list(sources)
    absent = [source for source in dict.fromkeys(wanted) if not is_local(source)]
    quiet = quiet or not any(isinstance(get_address(source), str) for source in absent)
    if not quiet:
        _announce(absent)
    failures: list[str] = []
    with tqdm(total=sum(s.bytes for s in absent), unit="B", unit_scale=True, disable=quiet) as bar:
        for position, source in enumerate(absent):
            try:
                fetch(source, quiet=True)
            except _Unreachable as error:
                failures += [str(error), *(f"{s.name}: not tried" for s in absent[position + 1 :])]
                break
            except SourceError as error:
                failures.append(str(error))
            bar.update(source.bytes)
    if failures:
        raise SourceError("\n- ".join([f"could not get {len(failures)} files:", *failures]))
    return [_local_path(source) for source in wanted]


def check_sources(repository: str | None = None) -> pd.DataFrame:
    """Verify what is here, of one repository (``owner/name``) or of all, without the network.

    Returns
    -------
    pandas.DataFrame
        One row per file: ``name``, ``size_mb``, ``licence``, ``state`` (``present``, ``missing``,
        or ``corrupt``: not the pinned bytes) and ``where``: the local file, or the address that
        a missing one would come from.
        A repository that is not in the registry raises an `InputError`.
    """
    import pandas as pd  # here, because a method needs a source and no table

    rows = []
    for source in find_sources(repository) if repository else load_sources().values():
        path = _local_path(source)
        found = _fault(path, source)
        state = "present" if found is None else "corrupt" if path.exists() else "missing"
        where = get_address(source) if state == "missing" else path
        rows.append((source.name, source.size_mb, source.licence, state, str(where)))
    return pd.DataFrame(rows, columns=["name", "size_mb", "licence", "state", "where"])


def _local_path(source: Source) -> Path:
    address = get_address(source)
    return address if isinstance(address, Path) else cache_folder() / "sources" / source.location


def _fault(path: Path, source: Source) -> str | None:
    """What is wrong with a local copy, or None if it holds the pinned bytes."""
    try:
        size, sha256 = path.stat().st_size, pooch.file_hash(str(path), alg="sha256")
    except (FileNotFoundError, NotADirectoryError):
        return "found no file"
    except OSError as error:
        return f"found what cannot be read ({error})"
    return None if sha256 == source.sha256 else f"found {size} bytes with sha256 {sha256}"


def _download(source: Source, address: str, target: Path, *, quiet: bool) -> None:
    """Bring the pinned bytes to `target`, whole or not at all; try again where that may help."""
    for pause in (*PAUSES_SECONDS, None):
        kind, fix = SourceError, "try again later, or set LUMIRAGE_MIRROR to a complete copy"
        try:
            found = _attempt(source, address, target, quiet=quiet)
        except RequestException as error:
            found = f"no whole file came ({error})"
            if getattr(error.response, "status_code", None) in LASTING_STATUS:
                pause = None
            if error.args and isinstance(error.args[0], MaxRetryError):
                kind = _Unreachable
        except OSError as error:
            found, pause = f"cannot write {target} ({error})", None
            fix = f"make room for {source.size_mb:.1f} MB, or set LUMIRAGE_CACHE to another folder"
        if found is None:
            return
        if pause is None:
            raise kind(_refusal(source, found, address, fix))
        time.sleep(pause)


def _attempt(source: Source, address: str, target: Path, *, quiet: bool) -> str | None:
    """Download once; move the file to `target` if it is right, else say what is wrong with it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    # Seconds to connect and between pieces; the bytes not packed, so that the bar counts right.
    headers = {"Accept-Encoding": "identity"}
    bar = tqdm(total=source.bytes, unit="B", unit_scale=True, leave=False, disable=quiet)
    try:
        with bar, requests.get(address, stream=True, timeout=(10, 30), headers=headers) as answer:
            answer.raise_for_status()
            with open(part, "wb") as file:
                for piece in answer.iter_content(1 << 16):
                    file.write(piece)
                    bar.update(len(piece))
                    if file.tell() > source.bytes:  # a reply without end would fill the disk
                        return f"found more than {source.bytes} bytes"
        if (found := _fault(part, source)) is None:
            part.replace(target)
        return found
    finally:
        part.unlink(missing_ok=True)


def _refusal(source: Source, found: str, where: object, fix: str) -> str:
    pinned = f"{source.bytes} bytes with sha256 {source.sha256}"
    return f"{source.name}: expected {pinned}, {found}, at {where}.\nFix: {fix}"


def _unknown(what: str, name: str, known: set[str]) -> str:
    near = get_close_matches(name, sorted(known), n=3)
    hint = (
        f"did you mean {' or '.join(near)}?"
        if near
        else f"there are {', '.join(sorted(known)[:20])}"
    )
    return f"expected one of {len(known)} known names, found no {what} called {name!r}: {hint}"


def _announce(sources: list[Source]) -> None:
    """Say on stderr what is about to be downloaded, how large it is and under which licences."""
    lines = [f"Fetching {len(sources)} file(s), {sum(s.size_mb for s in sources):.1f} MB in all:"]
    for repository, licence in dict.fromkeys((s.repository, s.licence) for s in sources):
        own = [s for s in sources if (s.repository, s.licence) == (repository, licence)]
        what = own[0].name if len(own) == 1 else f"{len(own)} files of {repository}"
        lines.append(f"  {what}: {sum(s.size_mb for s in own):.1f} MB, licence: {licence}")
    print("\n".join(lines), file=sys.stderr)
