"""The lab: open a lesson, run it without a browser, write the slides."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from ..files import read_yaml
from ..runs.profiles import project_root
from ._console import console

app = typer.Typer()


COLAB = """\
import sys

if "google.colab" in sys.modules:  # elsewhere this cell does nothing
    !git clone --depth 1 {repository} lumirage
    %pip install -q -r lumirage/requirements.txt
    %pip install -q --no-deps -e lumirage
    %cd lumirage/notebooks/lab
"""


def open_lesson(name: str, repository: str = "") -> Path:
    """The student's own copy of a lesson, beside its source; one that is there is left as it is.

    Where the project is published, the copy begins with a cell that sets Colab up.
    """
    import jupytext
    from nbformat.v4 import new_code_cell

    from ..book.lab import list_lessons, read_source

    copy = list_lessons()[name].with_suffix(".ipynb")
    if not copy.exists():
        notebook = read_source(name)
        if repository:
            notebook.cells.insert(1, new_code_cell(COLAB.format(repository=repository)))
        jupytext.write(notebook, copy)
    return copy


@app.command()
def lab(
    lesson: Annotated[int | None, typer.Argument(help="1 to 6, 7: the capstone.")] = None,
    run_all: Annotated[bool, typer.Option("--all", help="Run every lesson and time it.")] = False,
    slides: Annotated[bool, typer.Option(help="Write the slides, one HTML file.")] = False,
    run: Annotated[bool, typer.Option(help="Run the lesson here, open no browser.")] = False,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Of training; fewer for a slow laptop.")
    ] = None,
    keep: Annotated[bool, typer.Option(help="Keep what is shown, for the book.")] = False,
) -> None:
    """Open a lesson of the teaching lab in JupyterLab, run lessons, or write the slides."""
    from ..book.lab import execute, find_lesson, keep_outputs, list_lessons, write_slides

    root = project_root()
    if slides:
        console.print(f"slides: {write_slides(root / '_build' / 'lab' / 'slides.html')}")
        return
    if lesson is None and not run_all:
        for name in list_lessons():
            console.print(f"lumirage lab {name[0]}: {name[2:].replace('_', ' ')}")
        return
    names = list(list_lessons()) if run_all or lesson is None else [find_lesson(lesson)]
    if not run_all and not run:
        import subprocess
        import sys

        from ..book.notebooks import of_kernels

        given = read_yaml((root / "_config.yml").read_text(), "_config.yml")["sphinx"]["config"]
        copy = open_lesson(names[0], given["html_theme_options"]["repository_url"])
        console.print(f"your copy: {copy}")
        command = [sys.executable, "-m", "jupyterlab", str(copy)]
        raise typer.Exit(
            subprocess.run(command, cwd=copy.parent, env=os.environ | of_kernels()).returncode
        )
    times: list[dict] = []
    for name in names:
        page = root / "_build" / "lab" / f"{name}.ipynb"
        page.parent.mkdir(parents=True, exist_ok=True)
        spent = execute(name, page, steps)
        times.append({"lesson": name, "seconds": round(spent[0]), "processor_s": round(spent[1])})
        console.print(f"{name}: {spent[0]:.0f} s, {spent[1]:.0f} s of processor, {page}")
        if keep:
            keep_outputs(page, root / "results" / "lab" / name)
    if run_all:
        clock, processor = (sum(t[k] for t in times) for k in ("seconds", "processor_s"))
        console.print(f"lab: {clock} s, {processor} s of processor")
    if keep:
        path = root / "results" / "lab" / "times.json"
        before = {t["lesson"]: t for t in json.loads(path.read_text())} if path.exists() else {}
        now = before | {t["lesson"]: t for t in times}
        kept = [now[name] for name in list_lessons() if name in now]
        path.write_text(json.dumps(kept, indent=1) + "\n")
