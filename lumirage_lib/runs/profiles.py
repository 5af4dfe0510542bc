"""Profiles: which parameters a run has, and where its rows are kept."""

import copy
import functools
import os
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import read_yaml

LIVE = ("smoke", "demo")  # small enough to be computed whenever a page is drawn
DRAW_ONLY = "LUMIRAGE_DRAW_ONLY"  # set while the book is built: pages show what is there


def project_root() -> Path:
    """Folder with experiments.yml: ``LUMIRAGE_ROOT``, or found upward from the working folder."""
    if chosen := os.environ.get("LUMIRAGE_ROOT"):
        if not (Path(chosen) / "experiments.yml").is_file():
            raise InputError(
                f"LUMIRAGE_ROOT={chosen}: expected the folder with experiments.yml, which is not "
                "there; set it to the repository or unset it"
            )
        return Path(chosen)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "experiments.yml").exists():
            return folder
    raise InputError(
        f"no experiments.yml in {here} or above it; run from the repository or set LUMIRAGE_ROOT"
    )


def _read_table() -> dict[str, dict[str, Any]]:
    """Notebook -> profile -> parameters, as experiments.yml has them; not to be written to."""
    path = project_root() / "experiments.yml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable ({error})") from error
    return _parse_table(text, path)


@functools.cache
def _parse_table(text: str, path: Path) -> dict[str, dict[str, Any]]:
    table = read_yaml(text, str(path), aliases=True)
    if not isinstance(table, dict) or not all(isinstance(row, dict) for row in table.values()):
        raise InputError(f"{path}: expected notebook: profile: parameters, see the one committed")
    return table


def list_profiles() -> list[str]:
    """Every profile that a notebook has, in the order of experiments.yml."""
    return list(dict.fromkeys(name for profiles in _read_table().values() for name in profiles))


def check_profile(profile: str) -> None:
    """Refuse a profile that no notebook has, which would else be an empty run that succeeds."""
    known = list_profiles()
    if profile not in known:
        raise InputError(f"no profile {profile!r} in experiments.yml; there are {', '.join(known)}")


def load_profile(notebook: str, profile: str) -> dict[str, Any]:
    """Parameters of a notebook under a profile, as experiments.yml has them.

    Raises
    ------
    InputError
        Unknown notebook or profile, or the notebook has no such profile.
    """
    table = _read_table()
    if notebook not in table:
        raise InputError(
            f"no notebook {notebook!r} in experiments.yml; there are {', '.join(table)}"
        )
    if profile not in table[notebook]:
        raise InputError(
            f"notebook {notebook} has no profile {profile!r}; it has {', '.join(table[notebook])}"
        )
    return {"profile": profile, **copy.deepcopy(table[notebook][profile] or {})}


def notebooks_of(profile: str) -> list[str]:
    """Notebooks that have a profile, in order; a profile that none has is refused."""
    check_profile(profile)
    return [name for name, profiles in _read_table().items() if profile in profiles]


def store_path(profile: str) -> Path:
    """The store of a profile; committed tables newer than it are merged in first.

    It lies in ``LUMIRAGE_STORE``, by default the folder ``store`` of the project.
    """
    from .store import (
        import_store,
        open_store,
    )  # here, because what only asks for a profile needs no tables

    check_profile(profile)
    folder = Path(os.environ.get("LUMIRAGE_STORE") or project_root() / "store")
    path = folder / f"{profile}.sqlite"
    published = project_root() / "results" / profile / "registrations.parquet"
    if published.exists() and (
        not path.exists() or published.stat().st_mtime > path.stat().st_mtime
    ):
        with open_store(
            path
        ):  # what others find meanwhile is older than the tables: they wait for all
            os.utime(path, (0, 0))
            import_store(published.parent, path)
        path.touch()
    return path
