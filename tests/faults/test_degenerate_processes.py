"""What somebody does with two tables that `lumirage score` wrote, in a script of their own."""

from __future__ import annotations

import subprocess
import sys

import pandas as pd
import pytest

SCRIPT = """
import sys
import pandas as pd
from lumirage_lib.errors import LumirageError
from lumirage_lib.stats import Matched, compute_interval, sign_flip_subjects, tost

mine, other = (pd.read_csv(path) for path in sys.argv[1:])
pairs = mine["case"].str.split("<--", expand=True)
try:
    matched = Matched(mine["dice"], other["dice"], pairs[0], pairs[1])
except LumirageError as error:
    sys.exit(str(error))
interval = compute_interval(matched)
print(sign_flip_subjects(matched), tost(matched, 0.01), interval.low, interval.high)
"""
ATLAS = ("a", "b", "c", "d", "e", "f", "g", "h")
# Differences of Dice, subjects onto one atlas -> the exact p-value of flipping signs.
SAMPLES = {
    "three equal": ([0.02] * 3, "0.25"),
    "one pair": ([0.02], "nan"),
    "none differs": ([0.0] * 4, "1.0"),
    "eight equal": ([0.02] * 8, "0.0078125"),
}


def run(tmp_path, differences) -> subprocess.CompletedProcess:
    cases = [f"atlas<--{s}" for s in ATLAS[: len(differences)]]
    for name, dice in (("mine", [0.7 + d for d in differences]), ("other", [0.7] * len(cases))):
        pd.DataFrame({"case": cases, "dice": dice}).to_csv(tmp_path / f"{name}.csv", index=False)
    files = [str(tmp_path / f"{name}.csv") for name in ("mine", "other")]
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", SCRIPT, *files]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.fault(7, process=True, value=True)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_script_gets_exact_values_or_none(tmp_path, name):
    differences, exact = SAMPLES[name]
    done = run(tmp_path, differences)
    assert done.returncode == 0, done.stderr
    p, equivalence, low, high = done.stdout.split()
    assert p == exact
    assert equivalence == "nan" or 0 < float(equivalence) <= 1
    assert (low == high == "nan") == (name != "none differs")


@pytest.mark.fault(7, process=True)
def test_a_script_with_a_case_that_was_not_scored_gets_one_sentence(tmp_path):
    done = run(tmp_path, [0.02, float("nan"), 0.01])
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
