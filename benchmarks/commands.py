"""How long a reader waits for the commands that register nothing new.

    python benchmarks/commands.py [--repeats 3]

Seconds by the clock of each command as a process of its own, with everything it needs already there: the
book built, the demo's registrations in their store. One run of each is not counted. Beside the least of
the repeats stand the seconds of version 1, and how many times faster it is now. Writes commands.csv.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

from lumirage_lib.runs.profiles import project_root

VERSION_1_S = {  # measured on two cores before the restructuring
    "methods": 3.7,
    "results status -p open": 4.9,
    "book": 11.0,  # what `make book` calls
    "run 01_in_distribution -p demo": 12.7,
}


def time_command(words: str) -> float:
    command = [str(Path(sys.executable).with_name("lumirage")), *words.split()]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=project_root(), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"lumirage {words}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    rows = []
    for words, before in VERSION_1_S.items():
        time_command(words)
        seconds = [time_command(words) for _ in range(repeats)]
        row = {"command": f"lumirage {words}", "seconds": min(seconds), "slowest": max(seconds)}
        rows.append({**row, "version_1_s": before, "times_faster": before / min(seconds)})
    table = pd.DataFrame(rows)
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False, float_format="%.3g")
    print(table.to_string(index=False, float_format="%.2f"))


if __name__ == "__main__":
    main()
