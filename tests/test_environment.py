"""What the two ways of installing promise, and what the repository must not hold."""

from __future__ import annotations

import itertools
import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
# The build needs the first two; the others are asked for where Python is older than 3.12.
ALSO = {"setuptools", "wheel", "importlib-resources", "overrides"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read_pins(file: str = "requirements.txt") -> dict[str, str]:
    lines = (ROOT / file).read_text().splitlines()
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonical(name): version for name, version in pins}


def read_project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def list_direct() -> list[Requirement]:
    """What pyproject.toml asks for, in all its extras."""
    project = read_project()
    extras = project["optional-dependencies"].values()
    found = [Requirement(text) for text in itertools.chain(project["dependencies"], *extras)]
    return [r for r in found if r.name != project["name"]]


def test_conda_installs_the_same_pins():
    table = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [d["pip"] for d in table["dependencies"] if isinstance(d, dict)]
    assert pip == ["-r requirements.txt"]


def test_pins_satisfy_the_ranges_of_the_project():
    pins = read_pins() | read_pins("requirements-fireants.txt")
    wrong = [str(r) for r in list_direct() if pins.get(canonical(r.name), "0") not in r.specifier]
    assert not wrong


def test_nothing_is_pinned_that_nothing_needs():
    """Every pin is asked for by pyproject.toml or by something that it asks for."""
    todo, seen = [(canonical(r.name), frozenset(r.extras)) for r in list_direct()], set()
    while todo:
        name, extras = todo.pop()
        seen.add((name, extras))
        try:
            requires = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # of another platform or Python
        for r in map(Requirement, requires):
            wanted = any(r.marker is None or r.marker.evaluate({"extra": e}) for e in ("", *extras))
            found = (canonical(r.name), frozenset(r.extras))
            if wanted and found not in seen:
                todo.append(found)
    assert not set(read_pins()) - {name for name, _ in seen} - ALSO


def test_python_versions_are_said_once_each():
    low, high = 11, 13
    assert read_project()["requires-python"] == f">=3.{low},<3.{high + 1}"
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"python3.{minor}" in makefile for minor in range(low, high + 1))


def test_every_requirement_is_pinned_exactly():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    loose = [line for line in lines if line and not re.match(r"#|[\w.\[\]-]+==[\w.+!]+$", line)]
    assert not loose


@pytest.mark.parametrize("package", ["torch", "antspyx", "papermill", "jupyter-book", "numpy"])
def test_what_is_installed_is_what_is_pinned(package):
    assert metadata.version(package).split("+")[0] == read_pins()[package]


def tracked_files() -> list[Path]:
    try:
        command = ["git", "-C", str(ROOT), "ls-files"]
        names = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in names.splitlines()]


def test_no_image_or_label_map_is_tracked():
    images = (".nii", ".nii.gz", ".mgz", ".mgh", ".h5", ".pth", ".npy")
    assert not [p for p in tracked_files() if p.name.endswith(images)]


def test_notebooks_are_tracked_as_text_without_outputs():
    assert not [p for p in tracked_files() if p.suffix == ".ipynb"]
