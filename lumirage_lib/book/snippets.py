"""Markdown that the prose includes: what the code knows better than a writer."""

import contextlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from ..cohorts import COHORTS, get_cohort
from ..cohorts.sources import Source, load_sources
from ..errors import InputError
from ..images.preprocess import IMAGE_STEPS, PAIR_STEPS, STANDARD, Preprocessing, Step
from ..methods import MethodSpec, judge_exposure, list_methods
from .pages import escape, to_table

SCOREBOARD = ("00_summary", "open")
CHANGED = "#what-changed-since-version-1"
# What they ask, no claim asks.
BEYOND = ("10_cause", "06_label_protocol", "09_do_no_harm", "11_specifications")
DOORS = (  # title, profile whose first page it leads to or a page, what is behind it
    (
        "Read (15 min)",
        "open",
        "What was found, chapter by chapter: a sentence, a figure, three points each. The glossary has the "
        "words on one page.",
    ),
    (
        "Check (30 min)",
        "demo",
        "Part II is computed on your machine. Or do five published registrations again and compare every "
        "number: `lumirage verify -p open -n 5`.",
    ),
    (
        "Teach (90 min)",
        "lab/index",
        "Six lessons, then a capstone. Every chapter ends with an exercise and a folded solution.",
    ),
)


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
        **describe_landing(folder, pages),
        "sources": describe_sources(load_sources()),
        "cohorts": describe_cohorts(COHORTS),
        "methods": describe_methods(list_methods()),
        "exposure": describe_exposure(list_methods(), COHORTS),
        "preprocessing": describe_preprocessing(STANDARD),
    }
    for name, text in snippets.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def _table(header: Sequence[str], rows: Sequence[Sequence]) -> str:
    return to_table(pd.DataFrame(rows, columns=header)) + "\n"


# ---- the landing page ----------------------------------------------------------------------------


def describe_landing(folder: Path, pages: Sequence[tuple[str, str]]) -> dict[str, str]:
    """What pages of the published run computed for the landing page, and the doors to pages that there are.

    The answer and the scoreboard are those of page 00, the headlines those of `BEYOND`. Links lead from
    one folder above.

    Raises
    ------
    InputError
        A page was executed before it had what is asked of it.
    """
    doors = _describe_doors(folder.name, pages)
    if SCOREBOARD not in pages:
        none = dict.fromkeys(("scoreboard", "beyond"), "")
        return {"answer": "This book has no published run.\n", **none, "doors": doors}
    page = "{}_{}.ipynb".format(*SCOREBOARD)
    found = _read_about(folder / page, "landing")
    answer = "\n".join(f"- {sentence}" for sentence in found["sentences"])
    changed = f"[What changed since version 1 of the rules]({folder.name}/{page}{CHANGED})."
    return {
        "answer": f"{answer}\n",
        "scoreboard": found["cards"].replace('href="', f'href="{folder.name}/')
        + f"\n\n{changed}\n",
        "beyond": _describe_beyond(folder, pages),
        "doors": doors,
    }


def _read_about(path: Path, name: str) -> Any:
    """What an executed page says of itself under that name."""
    found = json.loads(path.read_text())["metadata"].get("lumirage", {}).get(name)
    if not found:
        raise InputError(f"{path}: has no {name}; execute it again (`lumirage book --recompute`)")
    return found


def _describe_beyond(folder: Path, pages: Sequence[tuple[str, str]]) -> str:
    """The chapters of the published run that ask what no claim does: question and answer."""
    lines = []
    for notebook in BEYOND:
        if (notebook, SCOREBOARD[1]) not in pages:
            continue
        page = f"{notebook}_{SCOREBOARD[1]}.ipynb"
        headline = escape(_read_about(folder / page, "headline"))
        opening = "".join(json.loads((folder / page).read_text())["cells"][0]["source"])
        title, question = opening.removeprefix("# ").split("\n\n**Question.** ")
        asked = " ".join(question.split())
        lines.append(f"- {asked} **{headline}** [{title}]({folder.name}/{page})")
    return "\n".join(["## Beyond the claims", "", *lines, ""]) if lines else ""


def _describe_doors(folder: str, pages: Sequence[tuple[str, str]]) -> str:
    """A card for each way into the book."""
    first = {profile: f"{folder}/{n}_{profile}" for n, profile in reversed(pages)}
    targets = {"open": first.get("open", "glossary"), "demo": first.get("demo", "protocol")}
    cards = [
        f":::{{grid-item-card}} {title}\n:link: {targets.get(to, to)}\n:link-type: doc\n\n{text}\n:::\n"
        for title, to, text in DOORS
    ]
    return "\n".join(["::::{grid} 1 1 3 3\n:gutter: 3\n", *cards, "::::\n"])


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
        module = import_module(COHORTS[name].partition(":")[0], "lumirage_lib.cohorts")
        about = inspect.getdoc(module) or ""
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


def describe_exposure(methods: Sequence[MethodSpec], cohorts: Iterable[str]) -> str:
    """Tables of networks: whether each has seen the images of every cohort; on what it was trained.

    Cohorts of which all networks have seen the same share a column. One's own data, which lie in a folder
    that a user names, are left out.
    """
    networks = [spec for spec in methods if spec.family == "deep"]
    columns: dict[tuple[str, ...], list[str]] = {}  # words of all networks -> cohorts
    for name in cohorts:
        with contextlib.suppress(InputError):
            cohort = get_cohort(name)
            words = tuple(judge_exposure(spec.id, cohort).word for spec in networks)
            columns.setdefault(words, []).append(f"`{name}`")
    seen = [[f"`{spec.id}`", *(words[k] for words in columns)] for k, spec in enumerate(networks)]
    trained = [
        [f"`{spec.id}`", spec.training.data, spec.training.evidence]
        for spec in networks
        if spec.training is not None
    ]
    header = ["network", *(", ".join(names) for names in columns.values())]
    return "\n".join(
        [_table(header, seen), _table(["network", "trained on", "how that is known"], trained)]
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
