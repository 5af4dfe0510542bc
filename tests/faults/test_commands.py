"""Every command of the table: exit code, its sentence, no traceback, nothing wrapped or left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from faulty import lumirage
from table import CASES, IN_A_SHELL, Case, environment

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("LUMIRAGE_STORE", str(tmp_path / "store"))


def marked(cases: list[Case], **how) -> list:
    """The cases with their kind, for the count."""
    return [
        pytest.param(
            case, id=str(case), marks=pytest.mark.fault(case.kind, value=case.code == 0, **how)
        )
        for case in cases
    ]


@pytest.mark.parametrize("case", marked(CASES))
def test_bad_input_gets_its_sentence(case, tmp_path, monkeypatch):
    arguments = case.make(tmp_path)
    for name, value in environment(case, tmp_path).items():
        monkeypatch.setenv(name, value)
    before = sorted(p for p in tmp_path.rglob("*.nii.gz"))
    told = lumirage(*arguments)
    assert told.code == case.code, told.text
    assert case.says in told.text
    assert len(told.text) < 4000
    if case.code == 0:
        return
    assert not list((tmp_path / "out").glob("*"))
    assert sorted(p for p in tmp_path.rglob("*.nii.gz")) == before


@pytest.mark.parametrize("case", marked(IN_A_SHELL, process=True))
def test_bad_input_gets_its_sentence_in_a_shell(case, tmp_path):
    arguments = case.make(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "lumirage_lib.cli", *map(str, arguments)],
        env={**os.environ, **environment(case, tmp_path)},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
    )
    assert done.returncode == case.code, done.stderr
    assert case.says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "not foreseen" not in done.stderr
    if case.code == 1 and arguments[0] != "score":
        assert len(done.stderr.strip().splitlines()) == 1
