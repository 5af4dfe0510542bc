"""Ctrl-C at a terminal, where every process of the group gets it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import fakes
import numpy as np
import pytest
from synthetic import brain

from lumirage_lib.images.volumes import Volume, save_volume

TESTS = Path(__file__).parents[1]
START = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may ignore it
from lumirage_lib.cli import main
main()
"""


@pytest.mark.parametrize("times", [1, 2])
def test_register_says_one_sentence_and_leaves_nothing_running(tmp_path, times):
    for name in ("a", "b"):
        image = brain((24, 26, 22)).astype(np.float32)
        save_volume(Volume(image, np.eye(4)), tmp_path / f"{name}.nii.gz")
    pid_file = tmp_path / "pid"
    files = [str(tmp_path / f"{name}.nii.gz") for name in ("a", "b")]
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", START, "register", *files, "-m", "fakes:STUCK"),
            *("-P", f"pid_file={pid_file}", "-o", str(tmp_path / "out")),
        ],
        env={**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    fakes.wait_until(lambda: pid_file.exists() and pid_file.read_text())
    for _ in range(times):
        os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 or times == 2
    assert "Traceback" not in said or times == 2
    if times == 1:
        assert " ".join(said.split()) == ("interrupted")
    fakes.wait_until(lambda: fakes.has_ended(int(pid_file.read_text())), seconds=10)
