"""Markdown that the prose includes: what the code knows better than a writer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path

import nbformat
import pandas as pd

from ..cohorts import COHORTS, get_maker
from ..cohorts.sources import Source, load_sources
from ..errors import InputError
from ..images.preprocess import IMAGE_STEPS, PAIR_STEPS, STANDARD, Preprocessing, Step
from ..methods import MethodSpec, list_methods
from .pages import to_table
from .toc import PROFILE_NAMES


def write_snippets(folder: Path, pages: Sequence[tuple[str, str]]) -> None:
    """Write every snippet; one that has not changed is left alone, for an incremental build.

    Parameters
    ----------
    folder : Path
        Where the executed pages are; the prose that includes the snippets is one folder above.
    pages : sequence of (notebook, profile)
        Pages of the book, in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    snippets = {
        "answers": describe_answers(folder, pages),
        "sources": describe_sources(load_sources()),
        "cohorts": describe_cohorts(COHORTS),
        "methods": describe_methods(list_methods()),
        "preprocessing": describe_preprocessing(STANDARD),
    }
    for name, text in snippets.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def _table(header: Sequence[str], rows: Sequence[Sequence]) -> str:
    return to_table(pd.DataFrame(rows, columns=header)) + "\n"


# ---- answers -------------------------------------------------------------------------------------


def read_answer(page: Path) -> tuple[str, str]:
    """Title of an executed page and the first paragraph it computed.

    Raises
    ------
    InputError
        The page has no heading, or no cell of it computed Markdown.
    """
    cells = nbformat.read(page, as_version=4).cells
    headings = (
        line.removeprefix("# ")
        for cell in cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if line.startswith("# ")
    )
    title, text = next(headings, None), next(_computed_markdown(cells), None)
    if not title or not text:
        raise InputError(f"{page}: expected a heading and an answer computed as Markdown")
    answer = " ".join(text.strip().split("\n\n")[0].split())
    return title, answer.removeprefix("**Answer.** ")


def _computed_markdown(cells) -> Iterator[str]:
    for cell in cells:
        for output in cell.get("outputs", []):
            text = output.get("data", {}).get("text/markdown")
            if text:
                yield text


def describe_answers(folder: Path, pages: Sequence[tuple[str, str]]) -> str:
    """The question and the answer of every page, as a definition list."""
    if not pages:
        return "No experiment is part of this book yet.\n"
    by_notebook: dict[str, list[str]] = {}
    titles: dict[str, str] = {}
    for notebook, profile in pages:
        page = f"{notebook}_{profile}.ipynb"
        title, answer = read_answer(folder / page)
        titles.setdefault(notebook, title)  # the first page's; those of a demo say so themselves
        link = f"[{PROFILE_NAMES[profile]}]({folder.name}/{page})"
        by_notebook.setdefault(notebook, []).append(f":   {answer} ({link})\n")
    return "\n".join(f"{titles[n]}\n" + "\n".join(lines) for n, lines in by_notebook.items())


# ---- data ----------------------------------------------------------------------------------------


def describe_sources(sources: Mapping[str, Source]) -> str:
    """Table of repositories: number of files, size, licence."""
    table = pd.DataFrame([vars(s) for s in sources.values()])
    rows = []
    for (repository, commit), group in table.groupby(["repository", "commit"], sort=True):
        address = f"https://github.com/{repository}/tree/{commit}"
        rows.append(
            [
                f"[{repository}]({address})",
                len(group),
                f"{group['bytes'].sum() / 1e6:.1f}",
                "; ".join(sorted(set(group["licence"]))),
            ]
        )
    return _table(["repository", "files", "MB", "licence"], rows)


def describe_cohorts(cohorts: Iterable[str]) -> str:
    """Table of cohorts: the first sentence of the module that makes each."""
    rows = []
    for name in cohorts:
        about = inspect.getdoc(import_module(get_maker(name).__module__)) or ""
        rows.append([f"`{name}`", about.split("\n\n")[0].replace("\n", " ")])
    return _table(["cohort", "what it is"], rows)


# ---- methods -------------------------------------------------------------------------------------


def describe_methods(methods: Sequence[MethodSpec]) -> str:
    """Table of methods and what each is given, then software and parameters of each."""
    rows, details = [], []
    for spec in methods:
        need = spec.input
        grid = "×".join(map(str, need.grid)) if need.grid else "any"
        if need.spacing_mm is not None:
            grid += f" at {need.spacing_mm:g} mm"
        if need.multiple_of > 1:
            grid += f", sides multiples of {need.multiple_of}"
        intensity = need.intensity
        if not isinstance(intensity, str):
            intensity = f"99th percentile at {intensity:g}"
        name = f"`{spec.id}` {{cite}}`{spec.citation}`"
        rows.append([name, spec.family, need.orientation, grid, intensity])
        about = [spec.version.split(", wrapper")[0]]
        if spec.weights is not None:
            about.append(f"weights of {spec.weights.repository} (licence {spec.weights.licence})")
        about += [f"{name} = {value}" for name, value in spec.parameters.items()]
        details.append(f"`{spec.id}`\n:   {', '.join(about)}\n")
    return "\n".join(
        [
            _table(["method", "family", "orientation", "grid", "intensity"], rows),
            "Software, and parameters unless a page says otherwise:\n",
            *details,
        ]
    )


# ---- preprocessing -------------------------------------------------------------------------------


def describe_preprocessing(preprocessing: Preprocessing) -> str:
    """What happens to the two images, step by step: the first sentence of every step."""
    lines = [
        *(_describe_step(IMAGE_STEPS[s.name], s) for s in preprocessing.image_steps),
        f"**alignment** ({preprocessing.alignment}): the moving image is brought onto the fixed grid "
        "by a linear map estimated once and shared by all methods.",
        *(_describe_step(PAIR_STEPS[s.name], s) for s in preprocessing.pair_steps),
    ]
    return "".join(f"{number}. {line}\n" for number, line in enumerate(lines, 1))


def _describe_step(function: Callable, step: Step) -> str:
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not parameter.empty
    }
    values = {**defaults, **dict(step.arguments)}
    listed = ", ".join(f"{name} = {value:g}" for name, value in values.items())
    about = (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")
    return f"**{step.name}** ({listed}): {about}"
