"""Public files pinned by repository, commit, path and sha256: fetched, or read from a mirror.

Two settings, read at every call:

- ``LUMIRAGE_MIRROR``: a folder, whose files are used in place, or an http(s) address, laid out
  as ``owner/name/commit/path``. Unset, files come from the public repositories themselves.
- ``LUMIRAGE_CACHE``: the folder that keeps what was downloaded, in the same layout under
  ``sources/``. Unset, the user's cache folder of the operating system.

Whatever the way, a path is only handed out after its bytes were hashed and found to be the pinned
ones: the files are a few megabytes, and an image with a flipped bit still opens.
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
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import pandas as pd
import pooch
from requests.exceptions import HTTPError, RequestException
from tqdm import tqdm
from urllib3.exceptions import MaxRetryError

from lumirage_lib.errors import InputError, SourceError

PUBLIC_BASE = "https://raw.githubusercontent.com"
PAUSES_SECONDS = (1.0, 4.0)  # between attempts, so one more attempt than pauses
TIMEOUT_SECONDS = (10, 30)  # to connect, and between two pieces of an answer
WORTH_RETRYING = {408, 429}  # the client errors that pass: timeout, too many requests


class _Unreachable(SourceError):
    """No connection was made: the next file would fail the same way."""


@dataclass(frozen=True)
class Source:
    """One public file, pinned: the same bytes for everyone, for ever.

    Attributes
    ----------
    repository : str
        ``owner/name`` of the public repository.
    commit : str
        Full commit hash.
    path : str
        Path within the repository, with forward slashes.
    sha256 : str
        Hash of the file's bytes, hexadecimal.
    bytes : int
        Size of the file.
    licence : str
        Licence of the file as its repository states it, for the reader to respect.
    """

    repository: str
    commit: str
    path: str
    sha256: str
    bytes: int
    licence: str

    @property
    def name(self) -> str:
        """The name the library knows the file by: ``owner/name/path``."""
        return f"{self.repository}/{self.path}"

    @property
    def size_mb(self) -> float:
        """Size in megabytes (1e6 bytes)."""
        return self.bytes / 1e6

    @property
    def location(self) -> str:
        """Where every mirror and cache has the file: ``owner/name/commit/path``."""
        return f"{self.repository}/{self.commit}/{self.path}"


@cache
def load_sources() -> Mapping[str, Source]:
    """Read the registry that comes with the package: every known file by its name.

    Returns
    -------
    Mapping[str, Source]
        Read-only, in the order of ``data/sources.tsv``.
    """
    text = (files("lumirage_lib") / "data" / "sources.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    sources = [Source(**{**row, "bytes": int(row["bytes"])}) for row in rows]
    return MappingProxyType({source.name: source for source in sources})


def find_sources(repository: str, under: str = "") -> list[Source]:
    """List the known files of a repository, all or those under a folder.

    Parameters
    ----------
    repository : str
        ``owner/name``.
    under : str
        A folder (or one file) within the repository; empty for all.

    Returns
    -------
    list[Source]
        Never empty, in the order of the registry.

    Raises
    ------
    InputError
        If no file of that repository, or none under that folder, is known.
    """
    found = [source for source in load_sources().values() if source.repository == repository]
    if not found:
        known = sorted({source.repository for source in load_sources().values()})
        raise InputError(_unknown("repository", repository, known))
    folder = under.strip("/")
    inside = [s for s in found if not folder or f"{s.path}/".startswith(f"{folder}/")]
    if not inside:
        known = sorted({parent for s in found for parent in _parents(s.path)})
        raise InputError(_unknown(f"folder of {repository}", folder, known))
    return inside


def get_source(repository: str, path: str) -> Source:
    """Look up one file by repository (``owner/name``) and path within it.

    Raises
    ------
    InputError
        If the file is not in the registry; the message names those nearest to it.
    """
    source = load_sources().get(f"{repository}/{path}")
    if source is None:
        known = [s.path for s in find_sources(repository)]
        raise InputError(_unknown(f"file of {repository}", path, known))
    return source


def cache_folder() -> Path:
    """Return the folder for downloads (``LUMIRAGE_CACHE``, or the system's); may not exist yet."""
    chosen = os.environ.get("LUMIRAGE_CACHE")
    return Path(chosen).expanduser().resolve() if chosen else Path(pooch.os_cache("lumirage"))


def get_address(source: Source) -> str:
    """Say where `source` comes from: an http(s) address, or a path in the mirror folder.

    Raises
    ------
    SourceError
        If ``LUMIRAGE_MIRROR`` is neither an existing folder nor an http(s) address.
    """
    base = _base()
    if isinstance(base, Path):
        return str(base / source.location)
    return f"{base}/{quote(source.location)}"


def is_local(source: Source) -> bool:
    """Tell whether the pinned bytes of `source` can be had without the network."""
    return _fault(_local_path(source), source) is None


def fetch(source: Source, *, quiet: bool = False) -> Path:
    """Return a local file that holds the pinned bytes of `source`, downloading it if need be.

    A file of a mirror folder is used in place. A download goes to a temporary name beside its
    place in the cache and takes that place, in one step, only once its hash is right: a reader
    never meets half a file, and any number of processes may ask for the same one. A cached file
    that went bad since is fetched again.

    Parameters
    ----------
    source : Source
        From `get_source`, `find_sources` or `load_sources`.
    quiet : bool
        Do not announce a download (name, size, licence) on stderr, nor show its progress.

    Raises
    ------
    SourceError
        If the file could not be had, or its bytes are not the pinned ones; it is then left out
        of the cache. The message gives size and sha256, expected and found, and the address.
    """
    path = _local_path(source)
    found = _fault(path, source)
    if found is None:
        return path
    if isinstance(_base(), Path):
        fix = "copy that file again, or unset LUMIRAGE_MIRROR to fetch the public one"
        raise SourceError(_refusal(source, found, path, fix))
    if not quiet:
        again = f"again, since the cached copy is damaged ({found}), " if path.exists() else ""
        _say(f"Fetching {again}{source.name} ({_terms([source])}) from {_base()}")
    _download(source, path, quiet=quiet)
    return path


def fetch_all(sources: Iterable[Source], *, quiet: bool = False) -> list[Path]:
    """`fetch` many files: say size and licences first, go on past failures, report them at the end.

    Parameters
    ----------
    sources : iterable of Source
        Duplicates are fetched once.
    quiet : bool
        No announcement and no progress bar.

    Returns
    -------
    list[Path]
        One verified local file per item of `sources`, in its order.

    Raises
    ------
    SourceError
        If any file could not be had: one message that lists them all. The others are in place.
        When the server cannot be reached at all, the files after that are not tried.
    """
    wanted = list(sources)
    absent = [source for source in dict.fromkeys(wanted) if not is_local(source)]
    download = not isinstance(_base(), Path)
    if absent and download and not quiet:
        _announce(absent)
    failures: list[str] = []
    total = sum(source.bytes for source in absent)
    with tqdm(total=total, unit="B", unit_scale=True, disable=quiet or not download) as bar:
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
        listed = "\n- ".join(failures)
        raise SourceError(f"{len(failures)} of {len(wanted)} files could not be had:\n- {listed}")
    return [_local_path(source) for source in wanted]


def check_sources(repository: str | None = None) -> pd.DataFrame:
    """Verify what is here, without the network.

    Parameters
    ----------
    repository : str, optional
        ``owner/name``; all repositories if not given.

    Returns
    -------
    pandas.DataFrame
        One row per file: ``name``, ``size_mb``, ``licence``, ``state`` (``present``: the pinned
        bytes; ``missing``; ``corrupt``: other bytes) and ``where``: the local file, or the
        address that a missing one would come from.

    Raises
    ------
    InputError
        If the repository is not in the registry.
    """
    chosen = find_sources(repository) if repository else load_sources().values()
    return pd.DataFrame([_check(source) for source in chosen])


def _check(source: Source) -> dict[str, object]:
    path = _local_path(source)
    found = _fault(path, source)
    state = "present" if found is None else "corrupt" if path.exists() else "missing"
    return {
        "name": source.name,
        "size_mb": source.size_mb,
        "licence": source.licence,
        "state": state,
        "where": get_address(source) if state == "missing" else str(path),
    }


def _base() -> Path | str:
    """The folder or address that holds the files, from the one setting."""
    chosen = os.environ.get("LUMIRAGE_MIRROR") or PUBLIC_BASE
    if chosen.startswith(("http://", "https://")):
        return chosen.rstrip("/")
    folder = Path(chosen).expanduser().resolve()
    if not folder.is_dir():
        raise SourceError(
            "LUMIRAGE_MIRROR: expected a folder or an http(s) address, "
            f"found {chosen!r}, which is neither.\nFix: correct it, or unset it to fetch from "
            f"{PUBLIC_BASE}"
        )
    return folder


def _local_path(source: Source) -> Path:
    base = _base()
    return (base if isinstance(base, Path) else cache_folder() / "sources") / source.location


def _fault(path: Path, source: Source) -> str | None:
    """What is wrong with a local copy, or None if it holds the pinned bytes."""
    try:
        size, sha256 = path.stat().st_size, pooch.file_hash(str(path), alg="sha256")
    except (FileNotFoundError, NotADirectoryError):
        return "found no file"
    except OSError as error:
        return f"found a file that cannot be read ({error.strerror})"
    return None if sha256 == source.sha256 else f"found {size} bytes with sha256 {sha256}"


def _download(source: Source, target: Path, *, quiet: bool) -> None:
    """Bring the pinned bytes to `target`, whole or not at all, trying again if that may help."""
    address = get_address(source)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    fix = "try again later; if it stays so, set LUMIRAGE_MIRROR to a complete copy"
    for pause in (*PAUSES_SECONDS, None):
        kind, passing = SourceError, True
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _transfer(address, part, source, quiet=quiet)
            found = _fault(part, source)
            if found is None:
                part.replace(target)
                return
        except RequestException as error:
            found = f"no whole file came ({error})"
            status = error.response.status_code if isinstance(error, HTTPError) else 500
            passing = status >= 500 or status in WORTH_RETRYING
            if error.args and isinstance(error.args[0], MaxRetryError):
                kind, fix = _Unreachable, "connect to the network, or set LUMIRAGE_MIRROR"
        except OSError as error:
            fix = f"free {source.size_mb:.1f} MB there, or set LUMIRAGE_CACHE to another folder"
            message = f"{source.name}: cannot be written to {target} ({error.strerror})"
            raise SourceError(f"{message}.\nFix: {fix}") from error
        finally:
            part.unlink(missing_ok=True)
        if pause is None or not passing:
            raise kind(_refusal(source, found, address, fix))
        time.sleep(pause)


def _transfer(address: str, part: Path, source: Source, *, quiet: bool) -> None:
    # `identity`: the bytes as they are, not packed for the journey, so that the bar counts right.
    with tqdm(total=source.bytes, unit="B", unit_scale=True, leave=False, disable=quiet) as bar:
        pooch.HTTPDownloader(
            progressbar=bar,
            chunk_size=1 << 16,
            timeout=TIMEOUT_SECONDS,
            headers={"Accept-Encoding": "identity"},
        )(address, str(part), None)


def _refusal(source: Source, found: str, where: object, fix: str) -> str:
    expected = f"expected {source.bytes} bytes with sha256 {source.sha256}"
    return f"{source.name}: {expected}, {found}, at {where}.\nFix: {fix}"


def _unknown(what: str, name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=3, cutoff=0.4) or known[:3]
    return f"no {what} is called {name!r} among the {len(known)} known; nearest: {', '.join(near)}"


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]


def _terms(sources: list[Source]) -> str:
    """Size and licences, as they are said before a download."""
    licences = "; ".join(dict.fromkeys(source.licence for source in sources))
    return f"{sum(source.size_mb for source in sources):.1f} MB, licence: {licences}"


def _announce(sources: list[Source]) -> None:
    size_mb = sum(source.size_mb for source in sources)
    _say(f"Fetching {len(sources)} files, {size_mb:.1f} MB, from {_base()} into {cache_folder()}")
    for repository in dict.fromkeys(source.repository for source in sources):
        own = [source for source in sources if source.repository == repository]
        _say(f"  {repository}: {len(own)} files, {_terms(own)}")


def _say(message: str) -> None:
    print(message, file=sys.stderr)
