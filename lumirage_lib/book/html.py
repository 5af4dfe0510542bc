"""Jupyter Book as a subprocess, warnings as errors."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import yaml

from ..errors import InputError, LumirageError
from .toc import list_files

# Jupyter Book 1 has no __main__ module.
JUPYTER_BOOK = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
SHOWN_WARNINGS = 20
COLOUR_CODE = re.compile(r"\x1b\[[0-9;]*m")


def build_html(root: Path, toc: Mapping, console) -> Path:
    """Run Jupyter Book with warnings as errors; returns ``_build/html/index.html``.

    Raises
    ------
    InputError
        A page of the table of contents does not exist.
    LumirageError
        It is not Jupyter Book 1, it warned or failed, or a page of the book was not written.
    """
    files = list(list_files(toc))
    lacking = [f for f in files if not any((root / f"{f}{s}").exists() for s in (".md", ".ipynb"))]
    if lacking:
        raise InputError(f"_toc.yml lists pages that do not exist: {', '.join(lacking)}")
    version = metadata.version("jupyter-book")
    if not version.startswith("1."):
        raise LumirageError(
            f"the book needs jupyter-book 1, found {version}; install the pins of requirements.txt"
        )
    output = root / "_build"
    html, doctrees, log, toc_path = (
        output / name for name in ("html", ".doctrees", "book.log", "_toc.yml")
    )
    text = yaml.safe_dump(toc, sort_keys=False, allow_unicode=True)
    if not toc_path.exists() or toc_path.read_text() != text:
        shutil.rmtree(html, ignore_errors=True)  # nothing of another table of contents stays
        shutil.rmtree(doctrees, ignore_errors=True)
    output.mkdir(exist_ok=True)
    toc_path.write_text(text)
    console.print(f"Jupyter Book: {len(files)} pages, warnings are errors")
    arguments = [*JUPYTER_BOOK, "build", str(root), "--path-output", str(root)]
    arguments += ["--toc", str(toc_path), "-W", "-n", "--keep-going"]
    start = time.perf_counter()
    with log.open("w") as stream:
        done = subprocess.run(arguments, stdout=stream, stderr=subprocess.STDOUT)
    text = COLOUR_CODE.sub("", log.read_text())
    log.write_text(text)
    lines = text.splitlines()
    complaints = [x for x in lines if any(w in x for w in ("WARNING", "ERROR", "CRITICAL"))]
    unwritten = [f for f in files if not (html / f"{f}.html").exists()]
    if done.returncode or complaints or unwritten or not (html / "index.html").exists():
        # A second build would read only the pages that changed, and so hide these warnings.
        shutil.rmtree(doctrees, ignore_errors=True)
        for line in (complaints or lines)[-SHOWN_WARNINGS:]:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        raise LumirageError(
            f"Jupyter Book gave {len(complaints)} warnings and errors (exit code {done.returncode}, "
            f"{len(unwritten)} pages not written); all it said: {log}"
        )
    console.print(f"Jupyter Book: no warnings, {time.perf_counter() - start:.0f} s")
    return html / "index.html"
