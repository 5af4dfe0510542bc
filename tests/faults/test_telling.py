"""What is not foreseen, what interrupts, and two commands at once."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from faulty import make_task, score
from typer.testing import CliRunner

from lumirage_lib.book import pages
from lumirage_lib.challenge import score as scoring
from lumirage_lib.cli import app
from lumirage_lib.cohorts import sources
from lumirage_lib.errors import InputError

FAULTS = {
    "no message": ZeroDivisionError(),
    "a long one": ValueError("x" * 10_000_000),
    "many lines": ValueError("first\n" * 100_000),
    "markup": ValueError("[/red] [bold] {x} %s"),
    "terminal codes": ValueError("\x1b[2J\x1b]0;x\x07"),
    "surrogates": ValueError("\udcff\udcfe"),
    "no memory": MemoryError(),
    "too deep": RecursionError("maximum recursion depth exceeded"),
    "a full disk": OSError(28, "No space left on device"),
    "a key": KeyError("n_panels"),
    "what cannot be printed": type("Odd", (Exception,), {"__str__": lambda self: "\x00"})(),
}


def break_with(monkeypatch, error: BaseException):
    def fail(*_):
        raise error

    monkeypatch.setattr(sources, "check_sources", fail)
    return CliRunner().invoke(app, ["data", "list"])


@pytest.mark.parametrize("what", FAULTS)
@pytest.mark.fault(20)
def test_what_is_not_foreseen_is_one_sentence_and_a_log(what, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    told = break_with(monkeypatch, FAULTS[what])
    assert told.exit_code == 1
    assert len(told.output) < 3000
    assert len(told.output.strip().splitlines()) == 1
    assert "\x1b" not in told.output
    log = Path(
        re.search(r"this was not foreseen: please report it with the log (\S+)", told.output)[1]
    )
    assert "Traceback" in log.read_text()
    assert log.stat().st_size < 2_000_000


@pytest.mark.fault(20)
def test_what_is_not_foreseen_is_told_without_a_log_too(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")
    told = break_with(monkeypatch, ValueError("it broke"))
    assert "error: ValueError: it broke; this was not foreseen" in told.output
    assert "no log could be written" in told.output


@pytest.mark.fault(19)
def test_a_hostile_refusal_is_cut(monkeypatch):
    told = break_with(monkeypatch, InputError("[red]" + "y" * 10_000_000))
    assert told.exit_code == 1
    assert told.output.startswith("error: [red]yyy")
    assert len(told.output) < 3000


@pytest.mark.fault(18)
def test_interrupt_is_told(monkeypatch):
    told = break_with(monkeypatch, KeyboardInterrupt())
    assert told.exit_code == 130
    assert told.output == (
        "interrupted; what was finished is stored, the same command goes on from there\n"
    )


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
@pytest.mark.fault(18, process=True)
def test_interrupt_of_a_shell_is_told(name):
    code = (
        "import signal, os\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from lumirage_lib.cohorts import sources\n"
        f"sources.check_sources = lambda *a: os.kill(os.getpid(), signal.{name}) or 1 / 0\n"
        "import sys; sys.argv[1:] = ['data', 'list']\n"
        "from lumirage_lib.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stderr.startswith("interrupted; what was finished is stored")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.fault(14, value=True)
def test_score_commands_share_a_folder(tmp_path, monkeypatch):
    """A second one begins and ends in the midst of the first: both finish, and agree."""
    task, again = make_task(tmp_path), []
    write = scoring._write

    def write_and_score(table, path):
        write(table, path)
        if not again:
            again.append(1)
            again.append(score(task))

    monkeypatch.setattr(scoring, "_write", write_and_score)
    first = score(task)
    assert (first.code, again[1].code) == (0, 0)
    assert len(pd.read_csv(tmp_path / "score" / "cases.csv")) == 2
    assert not list((tmp_path / "score").glob(".*"))


@pytest.mark.parametrize(
    "said",
    [
        "[link](javascript:x)",
        "a | b",
        "`code`",
        "<script>",
        "{{x}}",
        "$x$",
        "two\nlines",
        "z" * 9999,
    ],
)
@pytest.mark.fault(15, value=True)
def test_what_a_program_said_is_nobodys_markup_on_a_page(said):
    quoted = pages.quote(said)
    assert quoted.startswith("`")
    assert quoted.endswith("`")
    assert quoted.count("`") == 2
    assert "\n" not in quoted
    assert len(quoted) < 400
