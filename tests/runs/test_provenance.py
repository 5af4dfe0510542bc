"""What a run says of itself, against git, the installed packages and the tables themselves."""

import csv
import hashlib
import json
import subprocess
from importlib import metadata

import pandas as pd
import pytest

from lumirage_lib.runs import provenance
from lumirage_lib.runs.profiles import project_root

ROOT = project_root()


def git(folder, *arguments: str) -> str:
    names = ["-c", "user.name=a", "-c", "user.email=a@b"]
    command = ["git", "-C", str(folder), *names, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_revision_is_that_of_git_and_says_when_files_differ(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "project_root", lambda: tmp_path)
    assert provenance.revision() == "unknown"
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert provenance.revision() == head
    (tmp_path / "beside").write_text("not tracked")
    assert provenance.revision() == head
    (tmp_path / "file").write_text("two")
    assert provenance.revision() == f"{head}+changes"


def test_versions_are_those_installed_and_an_absent_package_is_said(monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGES", ("numpy", "no-such-package"))
    expected = {"numpy": metadata.version("numpy"), "no-such-package": "not installed"}
    assert provenance.find_versions() == expected


def test_the_published_run_describes_its_tables():
    folder = ROOT / "results" / "open"
    said = json.loads((folder / "run.json").read_text())
    rows = pd.read_parquet(folder / "registrations.parquet")
    for name, count in said["rows"].items():
        assert len(pd.read_parquet(folder / f"{name}.parquet")) == count
    assert (said["started"], said["finished"]) == (rows["finished"].min(), rows["finished"].max())
    assert said["hardware"] == sorted(rows["hardware"].unique())
    assert said["profile"] == "open"


@pytest.mark.slow
def test_a_run_is_described_by_what_is_there_now():
    parameters = {"01_in_distribution": {"seed": 0}}
    said = provenance.describe_run("open", parameters)
    with open(ROOT / "lumirage_lib" / "data" / "sources.tsv") as file:
        sources = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    lines = "\n".join(f"{s['repository']}/{s['path']} {s['sha256']}" for s in sources)
    assert said["sources_sha256"] == hashlib.sha256(lines.encode()).hexdigest()
    assert said["parameters"] is parameters
    assert said["python"].count(".") == 2
    assert said["started"] <= said["finished"]
