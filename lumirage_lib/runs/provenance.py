"""Where a run's numbers come from: versions, machine, revision, seeds, sources."""

import contextlib
import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import __version__
from ..cohorts.sources import load_sources
from ..metrics import RULER
from .machine import hardware
from .profiles import project_root, store_path
from .store import read_registrations
from .task import ALIGNMENT

# What the numbers of a run depend on besides this library.
PACKAGES = (
    *("torch", "antspyx", "picsl-greedy", "fireants", "SimpleITK", "numpy", "scipy", "nibabel"),
    *("pandas", "matplotlib"),
)


def find_versions() -> dict[str, str]:
    """Package -> version, or "not installed"."""
    installed = dict.fromkeys(PACKAGES, "not installed")
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            installed[package] = metadata.version(package)
    return installed


def revision() -> str:
    """Git revision of the project, with "+changes" if the working tree differs; or "unknown"."""
    root = project_root()
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("+changes" if _git(root, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def describe_run(profile: str, parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Everything about a profile's run that its tables do not say; `parameters` by notebook."""
    sources = "\n".join(f"{s.name} {s.sha256}" for s in load_sources().values())
    table = read_registrations(store_path(profile))
    return {
        "profile": profile,
        "lumirage": __version__,
        "revision": revision(),
        "ruler": RULER,
        "alignment": ALIGNMENT,
        "parameters": parameters,
        "packages": find_versions(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "hardware": sorted(set(table["hardware"])) or [hardware()],
        "cores": os.cpu_count(),
        "started": min(table["finished"], default=None),
        "finished": max(table["finished"], default=None),
        "sources_sha256": hashlib.sha256(sources.encode()).hexdigest(),
        "note": "packages, python, system and cores are those of the machine that exported, a row names its "
        "hardware; processor seconds on like hardware, not wall time, are comparable: machines ran several "
        "registrations and other work at once",
    }
