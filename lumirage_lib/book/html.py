"""Jupyter Book as a subprocess, warnings as errors; where nothing has changed, not at all."""

import hashlib
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
# All that a page is made from, includes and extensions among it, below the root of the project.
SOURCES = ("book", "notebooks", "lumirage_lib", "benchmarks", "results", "*.yml", "*.md", "*.cff")
COLOUR_CODE = re.compile(r"\x1b\[[0-9;]*m")


def build_html(root: Path, toc: Mapping, console) -> Path:
    """Run Jupyter Book with warnings as errors; returns ``_build/html/index.html``.

    A book that was built without a warning from the very same sources is left as it is.

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
    html, doctrees, log, toc_path, made_from = (
        output / name for name in ("html", ".doctrees", "book.log", "_toc.yml", "made_from")
    )
    text = yaml.safe_dump(toc, sort_keys=False, allow_unicode=True)
    digest = _hash_sources(root, f"{version} {sys.version} {text}")
    written = all((html / f"{f}.html").exists() for f in (*files, "index"))
    if written and made_from.exists() and made_from.read_text() == digest:
        console.print(f"Jupyter Book: {len(files)} pages, up to date")
        return html / "index.html"
    made_from.unlink(missing_ok=True)
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
    made_from.write_text(digest)
    console.print(f"Jupyter Book: no warnings, {time.perf_counter() - start:.0f} s")
    return html / "index.html"


def _hash_sources(root: Path, more: str) -> str:
    digest = hashlib.sha256(more.encode())
    for pattern in SOURCES:
        for top in sorted(root.glob(pattern)):
            for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
                if path.is_file() and "__pycache__" not in path.parts:
                    digest.update(f"{path.relative_to(root)} {path.stat().st_size} ".encode())
                    digest.update(path.read_bytes())
    return digest.hexdigest()
