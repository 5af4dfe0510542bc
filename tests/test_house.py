"""The house: rooms import downward only, nothing goes in circles, and the library stays thin."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LIBRARY = Path(__file__).parents[1] / "lumirage_lib"
# From the top of the house to the ground; a room may import from those after it.
ROOMS = (
    "cli", "book", "experiments", "runs", "challenge", "stats",
    "methods", "metrics", "cohorts", "images", "files", "errors",
)  # fmt: skip
# Statements (docstrings apart) when what repeated itself was last taken out; may grow by 15 %.
STATEMENTS = 12139


def list_modules() -> dict[str, Path]:
    found = {}
    for path in sorted(LIBRARY.rglob("*.py")):
        parts = path.relative_to(LIBRARY).with_suffix("").parts
        found[".".join(parts).removesuffix("__init__").removesuffix(".")] = path
    return found


MODULES = list_modules()


def find_imports(name: str, *, deferred: bool = True) -> Iterator[str]:
    """Modules of the library that one imports; also within functions, unless told otherwise."""
    path = MODULES[name]
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if deferred else iter(tree.body)
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    package = [part for part in package if part]
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - (node.level - 1)]
            base += node.module.split(".") if node.module else []
            for alias in node.names:
                whole = ".".join([*base, alias.name])
                yield whole if whole in MODULES else ".".join(base)


@pytest.mark.parametrize("name", [n for n in MODULES if n])
def test_imports_point_down(name):
    here = ROOMS.index(name.split(".")[0])
    upward = [t for t in find_imports(name) if t and ROOMS.index(t.split(".")[0]) < here]
    assert not upward


def test_no_module_imports_itself_through_others():
    graph = {name: set(find_imports(name, deferred=False)) - {name} for name in MODULES}
    while graph:
        leaves = {n for n, targets in graph.items() if not targets & graph.keys()}
        assert leaves, f"a circle among {sorted(graph)}"
        graph = {n: targets for n, targets in graph.items() if n not in leaves}


@pytest.mark.parametrize("name", MODULES)
def test_imports_within_the_library_are_relative_and_none_is_of_tests(name):
    tree = ast.parse(MODULES[name].read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            assert node.module.split(".")[0] not in ("lumirage_lib", "unittest", "pytest")
        if isinstance(node, ast.Import):
            assert not {a.name.split(".")[0] for a in node.names} & {"lumirage_lib", "unittest"}


def test_planning_and_listing_import_nothing_that_takes_seconds():
    slow = (
        "torch",
        "ants",
        "matplotlib",
        "statsmodels",
        "scipy.stats",
        "nbformat",
        "papermill",
        "IPython",
    )
    code = f"""
import sys, lumirage_lib.cli, lumirage_lib.experiments, lumirage_lib.book.notebooks
assert not (found := [name for name in {slow} if name in sys.modules]), found
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def count_statements(text: str) -> int:
    nodes = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.stmt)]
    docstrings = [
        n
        for n in nodes
        if isinstance(n, ast.Expr)
        and isinstance(n.value, ast.Constant)
        and isinstance(n.value.value, str)
    ]
    return len(nodes) - len(docstrings)


def test_the_library_stays_thin():
    assert sum(count_statements(p.read_text()) for p in MODULES.values()) <= 1.15 * STATEMENTS
