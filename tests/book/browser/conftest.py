"""A browser, and a small book for it: real prose, viewer and explorer, notebooks of the smoke profile."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from filelock import FileLock
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from page_checks import EXAMPLE
from pdf import INSTALL, find_chromium

from lumirage_lib.book.toc import PAGES, list_files
from lumirage_lib.runs.profiles import project_root

SMOKE = "01_in_distribution"  # the notebook that is executed
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser; without one the test is skipped, or fails where one is required."""
    found = find_chromium()
    if found is None and os.environ.get("LUMIRAGE_REQUIRE_BROWSER"):
        pytest.fail(INSTALL)
    if found is None:
        pytest.skip(INSTALL)
    return found


@pytest.fixture(scope="session")
def browser(chromium):
    """One headless browser for all tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


def write_stand_in(path: Path) -> None:
    """A page where the real one would take minutes: a figure with its caption, a table, code."""
    cell = new_code_cell("x = 1", outputs=[new_output("display_data", {"image/png": PIXEL})])
    cell.metadata["mystnb"] = {
        "figure": {"name": f"fig-{path.stem}", "caption": "One pair, 2 subjects."},
        "image": {"alt": "A pixel.", "width": "100%"},
    }
    cells = [
        new_markdown_cell(
            f"# {path.stem.replace('_', ' ')}\n\nIt stands in for the page of a run that takes minutes."
        ),
        cell,
        new_markdown_cell("| method | Dice |\n|---|---|\n| greedy | 0.5 |"),
    ]
    about = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python", "pygments_lexer": "ipython3"},
    }
    nbformat.write(new_notebook(cells=cells, metadata=about), path)


@pytest.fixture(scope="session")
def make_site(tmp_path_factory):
    """Builds a book of the real prose, one executed notebook and pages that stand in for the others."""

    def make(repository: str) -> Path:
        source, root = project_root(), tmp_path_factory.mktemp("book")
        for name in ("experiments.yml", "CITATION.cff"):
            shutil.copy(source / name, root)
        for name in ("notebooks", "results", "lumirage_lib", "benchmarks"):
            (root / name).symlink_to(source / name)
        ignore = shutil.ignore_patterns("experiments", "__pycache__")
        shutil.copytree(source / "book", root / "book", ignore=ignore)
        config = yaml.safe_load((source / "_config.yml").read_text())
        config["sphinx"]["config"]["html_theme_options"]["repository_url"] = repository
        (root / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False))
        toc = yaml.safe_load((source / "_toc.yml").read_text())
        # The reference is left out: to import all of the library takes longer than all else.
        toc["parts"][-1]["chapters"] = [
            c for c in toc["parts"][-1]["chapters"] if c["file"] != "book/api"
        ]
        (root / PAGES / "lab").mkdir(parents=True)
        (root / PAGES / "lab" / "times.md").write_text("It takes no time here.\n")
        for file in list_files(toc):
            if file.startswith(f"{PAGES}/"):
                write_stand_in(root / f"{file}.ipynb")
        toc["parts"][0]["chapters"] += [{"file": f"{PAGES}/{SMOKE}_smoke"}]
        (root / "_toc.yml").write_text(yaml.safe_dump(toc))
        environment = {"LUMIRAGE_ROOT": str(root), "LUMIRAGE_STORE": str(root / "store")}
        done = subprocess.run(
            [sys.executable, "-c", BUILD, SMOKE],
            env=os.environ | environment | {"PYTHONPATH": str(source)},
            cwd=root, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return root / "_build" / "html"

    return make


BUILD = """
import sys, yaml
from lumirage_lib.book import html, snippets
from lumirage_lib.cli._console import errors
from lumirage_lib.cli.pages import run
from lumirage_lib.runs.profiles import project_root
root, notebook = project_root(), sys.argv[1]
run(notebook, profile="smoke", parameter=None, output=None, compute_only=False)
snippets.write_snippets(root / "book" / "experiments", [(notebook, "smoke")])
html.build_html(root, yaml.safe_load((root / "_toc.yml").read_text()), errors)
"""


@pytest.fixture(scope="session")
def site(chromium, make_site, tmp_path_factory, worker_id) -> Path:
    """Folder of the small book, whose repository is an example; processes beside this one share it."""
    if worker_id == "master":
        return make_site(EXAMPLE)
    shared = tmp_path_factory.getbasetemp().parent / "site"
    with FileLock(shared.with_suffix(".lock")):
        if not shared.exists():
            shared.symlink_to(make_site(EXAMPLE))
    return shared.resolve()
