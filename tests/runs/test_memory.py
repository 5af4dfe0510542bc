"""The peak of memory of one inference in a process of its own: what is predicted is measured."""

from __future__ import annotations

import pytest
import torch
from typer.testing import CliRunner

from lumirage_lib import cli
from lumirage_lib.errors import InputError
from lumirage_lib.methods.networks.memory import MB
from lumirage_lib.runs import memory
from lumirage_lib.runs.child import _status_mb, run_child


def test_prediction_is_what_is_measured():
    shape = (112, 112, 96)
    predicted = memory.predict("clapirn", shape)
    measured = memory.measure_peak("clapirn", shape).value
    assert predicted.peak_mb == pytest.approx(measured.peak_mb, rel=0.06)


def free_all_but_the_last(hand_back: bool) -> float:
    """MB that stay with the process of 160 that it has freed, blocks of 4."""
    if hand_back:
        memory.hand_back_freed_blocks()
    torch.ones(2 * MB)  # freed at once: by default, blocks up to its size are kept from now on
    before = _status_mb("VmRSS")
    blocks = [torch.ones(MB) for _ in range(41)]
    del blocks[:-1]
    return _status_mb("VmRSS") - before - 4


def test_freed_memory_is_handed_back():
    kept, handed_back = (run_child(free_all_but_the_last, b).value for b in (False, True))
    assert kept > 100
    assert handed_back < 10


def test_budget_is_kept():
    outcome = memory.measure_peak("voxelmorph", (64, 64, 64), budget_mb=20)
    assert outcome.status == "out-of-memory"
    assert outcome.reason


def test_grid_that_a_network_does_not_take_is_refused():
    with pytest.raises(InputError, match="multiples of 16"):
        memory.predict("symnet", (100, 96, 96))


def test_command_prints_prediction_and_measurement():
    arguments = ["memory", "clapirn", "--shape", "32", "32", "32", "--measure"]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0, result.output
    assert "predicted" in result.output
    assert "measured" in result.output
