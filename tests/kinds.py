"""The twenty kinds of fault, and the count of bad inputs that tests make of each.

A test that gives a bad input says so: ``@pytest.mark.fault(KIND)``. Every set of its parameters is one
input, or with ``by="name"`` every value of that one parameter, however many tests ask something of it.
"""

from __future__ import annotations

import pytest

NAMES = {
    1: "integrity",
    2: "world position",
    3: "units",
    4: "orientation unknown",
    5: "background",
    6: "substitution",
    7: "degenerate statistics",
    8: "imports",
    9: "typos",
    10: "the cache",
    11: "threads and alignments",
    12: "passing faults",
    13: "causes of a store's fault",
    14: "work lost at the end",
    15: "text as markup",
    16: "memory without bound",
    17: "one bad entry",
    18: "interrupts",
    19: "hostile text",
    20: "messages",
}
PLACES = ("here", "process")
# How an input was answered, the worse the later: what is asked of a test, and how it else went.
ANSWERS = ("error", "value", "traceback", "silent")
BEFORE = "before: of 439 inputs about 239 gave one clear error, 77 a traceback, 77 nothing"


def find_fault(item: pytest.Item) -> tuple[int, str, str, str] | None:
    """Kind, place, input and the answer that is asked for, of a test that gives a bad input."""
    marker = item.get_closest_marker("fault")
    if marker is None:
        return None
    about = {"process": False, "value": False, "by": None} | marker.kwargs
    which = item.nodeid
    if about["by"]:
        which = f"{item.path.name} {item.callspec.params[about['by']]}"
    place, answer = PLACES[about["process"]], ANSWERS[about["value"]]
    return marker.args[0], place, which, answer


def judge(error: BaseException) -> str:
    """How an input was answered by what its test fails with."""
    shown = str(error)
    told = isinstance(error, AssertionError | pytest.fail.Exception)
    raised = not told or "not foreseen" in shown or "Traceback" in shown
    return "traceback" if raised else "silent"


def count(faults: list[tuple[int, str, str, str]]) -> dict[int, dict[str, int]]:
    """Kind -> inputs in each place, and answers; of several answers to one input the worst."""
    worst: dict[tuple[int, str, str], str] = {}
    for *key, answer in faults:
        worst[tuple(key)] = max(answer, worst.get(tuple(key), answer), key=ANSWERS.index)
    counts = {kind: dict.fromkeys((*PLACES, *ANSWERS), 0) for kind in NAMES}
    for (kind, place, _), answer in worst.items():
        counts[kind][place] += 1
        counts[kind][answer] += 1
    return counts
