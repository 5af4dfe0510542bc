"""Profiles: which parameters a run has, and where its rows are kept."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from ..errors import InputError
from .store import import_store

PROFILES = ("smoke", "demo", "open", "paper")
LIVE = ("smoke", "demo")  # small enough to be computed whenever a page is drawn
DRAW_ONLY = "LUMIRAGE_DRAW_ONLY"  # set while the book is built: pages show what is there


def project_root() -> Path:
    """Folder with experiments.yml: ``LUMIRAGE_ROOT``, or found upward from the working folder."""
    if os.environ.get("LUMIRAGE_ROOT"):
        return Path(os.environ["LUMIRAGE_ROOT"])
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "experiments.yml").exists():
            return folder
    raise InputError(
        f"no experiments.yml in {here} or above it; run from the repository or set LUMIRAGE_ROOT"
    )


def load_profile(notebook: str, profile: str) -> dict:
    """Parameters of a notebook under a profile, as experiments.yml has them.

    Raises
    ------
    InputError
        Unknown notebook or profile, or the notebook has no such profile.
    """
    table = yaml.safe_load((project_root() / "experiments.yml").read_text())
    if notebook not in table:
        raise InputError(
            f"no notebook {notebook!r} in experiments.yml; there are {', '.join(table)}"
        )
    if profile not in table[notebook]:
        raise InputError(
            f"notebook {notebook} has no profile {profile!r}; it has {', '.join(table[notebook])}"
        )
    return {"profile": profile, **(table[notebook][profile] or {})}


def notebooks_of(profile: str) -> list[str]:
    """Notebooks that have a profile, in order."""
    table = yaml.safe_load((project_root() / "experiments.yml").read_text())
    return [name for name, profiles in table.items() if profile in profiles]


def store_path(profile: str) -> Path:
    """The store of a profile; committed tables newer than it are merged in first."""
    path = project_root() / "store" / f"{profile}.sqlite"
    published = project_root() / "results" / profile / "registrations.parquet"
    if published.exists() and (
        not path.exists() or published.stat().st_mtime > path.stat().st_mtime
    ):
        import_store(published.parent, path)
        path.touch()
    return path
