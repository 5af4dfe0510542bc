"""What the two ways of installing promise, and what the repository must not hold."""

from __future__ import annotations

import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def read_pins() -> dict[str, str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_conda_and_pip_have_equal_pins():
    table = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [d["pip"] for d in table["dependencies"] if isinstance(d, dict)]
    assert dict(line.split("==") for line in pip if "==" in line) == read_pins()


def test_every_requirement_is_pinned_exactly():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    loose = [line for line in lines if line and not re.match(r"#|[\w.\[\]-]+==[\w.+!]+$", line)]
    assert not loose


@pytest.mark.parametrize("package", ["torch", "antspyx", "papermill", "jupyter-book", "numpy"])
def test_what_is_installed_is_what_is_pinned(package):
    pins = {k.lower(): v for k, v in read_pins().items()}
    assert metadata.version(package).split("+")[0] == pins[package]


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
