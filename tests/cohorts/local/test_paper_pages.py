"""The commands of the book for the paper's own data: what each plans, and its page from end to end."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from trees import MAKERS

from lumirage_lib import experiments
from lumirage_lib.book import notebooks
from lumirage_lib.methods import get_method
from lumirage_lib.runs import profiles
from lumirage_lib.runs import store as results

TESTS = Path(__file__).parents[2]
BOOK = (profiles.project_root() / "book" / "data.md").read_text()
COMMANDS = re.findall(r"`lumirage run ([^`\n]* -p paper[^`\n]*)`", BOOK)

# Notebook, cohort, labels that mean Dice is of, start, number of pairs, of conditions, of methods.
EXPERIMENTS = [
    ("01_in_distribution", "lumir", "synthseg", "centre", 2, 1, 3),
    ("01_in_distribution", "nimh", "synthseg", "centre", 6, 1, 3),
    ("01_in_distribution", "nimh", "slant", "centre", 6, 1, 3),
    ("01_in_distribution", "nimh", "atropos", "centre", 6, 1, 3),
    ("03_contrasts", "nimh", "synthseg", "centre", 6, 4, 3),
    ("05_preprocessing", "nimh", "synthseg", "centre", 6, 3, 2),
    ("02_macaque", "primede", "tissue", "affine", 6, 2, 3),
    ("01_in_distribution", "primede", "subcortical", "affine", 6, 1, 3),
    ("01_in_distribution", "ultracortex", "manual", "centre", 6, 1, 3),
    ("01_in_distribution", "ultracortex", "manual", "centre", 6, 1, 3),
    ("01_in_distribution", "oasis-l2r", "seg35", "centre", 3, 1, 3),
]


@pytest.fixture(scope="module")
def trees(tmp_path_factory) -> dict[str, Path]:
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in MAKERS.items()}


def variables(trees: dict[str, Path]) -> dict[str, str]:
    return {f"LUMIRAGE_DATA_{n.upper().replace('-', '_')}": str(p) for n, p in trees.items()}


@pytest.fixture(autouse=True)
def folders(trees, own_cache, monkeypatch):
    for name, root in variables(trees).items():
        monkeypatch.setenv(name, root)


def read_command(command: str, **given: str) -> tuple[str, dict]:
    """Notebook and parameters of a command, with others given behind it."""
    notebook, _, profile, *rest = shlex.split(command)
    assert rest[::2] == ["-P"] * (len(rest) // 2)
    named = dict(item.split("=", 1) for item in rest[1::2])
    return notebook, notebooks.resolve_parameters(notebook, profile, named | given)


def test_every_command_of_the_book_is_checked_here():
    assert len(COMMANDS) == len(EXPERIMENTS)
    assert len(set(COMMANDS)) == len(COMMANDS)


@pytest.mark.parametrize(
    ("command", "expected"), zip(COMMANDS, EXPERIMENTS, strict=False), ids=COMMANDS
)
def test_command_plans_the_experiment_it_stands_for(command, expected):
    name, parameters = read_command(command)
    tasks = experiments.list_tasks(experiments.plan_notebook(name, parameters))
    labels = {next(iter(task.get_cohort().label_sets)) for task in tasks}
    starts = {task.preprocessing.alignment for task in tasks}
    n_pairs = len({task.pair for task in tasks})
    n_conditions = len({(task.cohort_options, task.preprocessing) for task in tasks})
    n_methods = len({get_method(task.method).id for task in tasks})  # the checkpoint is not here
    found = (name, tasks[0].cohort, *labels, *starts, n_pairs, n_conditions, n_methods)
    assert found == expected
    assert len({t.key for t in tasks}) == len(tasks) == n_pairs * n_conditions * n_methods


def test_contrasts_and_resolution_of_the_commands_are_those_they_name():
    (contrasts,) = (c for c in COMMANDS if c.startswith("03"))
    name, parameters = read_command(contrasts)
    tasks = experiments.list_tasks(experiments.plan_notebook(name, parameters))
    asked = dict.fromkeys(dict(t.cohort_options)["contrast"] for t in tasks)
    assert list(asked) == ["T1w", "T2w", "T2starw", "FLAIR"]
    # T1w is registered once for this page and that of notebook 01.
    first = read_command("01_in_distribution -p paper -P cohort=nimh")
    keys = {e.task.key for e in experiments.plan_notebook(*first)}
    assert keys == {t.key for t in tasks if dict(t.cohort_options)["contrast"] == "T1w"}
    fine, coarse = (read_command(c) for c in COMMANDS if "cohort=ultracortex" in c)
    for (name, parameters), spacing_mm in ((fine, 0.6), (coarse, 1.0)):
        task = experiments.plan_notebook(name, parameters)[0].task
        image = task.get_cohort().load_image(task.pair.fixed)
        assert image.spacing_mm == pytest.approx([spacing_mm] * 3, abs=1e-4)


# ---- pages


# An iterative method, a network that does nothing, and one whose checkpoint is not here.
METHODS = "methods=[greedy, 'fakes:BAD', vfa-lumir]"
PAGES = {  # command -> number of pairs; in this order
    COMMANDS[0]: 2,
    COMMANDS[4]: 2,
    COMMANDS[5]: 2,
    COMMANDS[6]: 1,
    COMMANDS[9]: 1,
    COMMANDS[10]: 2,
}
LUMIR, CONTRASTS, PREPROCESSING, MACAQUES, ULTRACORTEX, OASIS = PAGES
CODE = """
import contextlib, json, os, sys
from pathlib import Path
from lumirage_lib.book import notebooks
from lumirage_lib.cli import app

warm = notebooks.warm_kernel
def run(some, **settings):
    with notebooks.environment(settings), warm(Path.cwd()) as clear:
        notebooks.warm_kernel = lambda folder: contextlib.nullcontext(clear)
        for words in some:
            if code := app(words, standalone_mode=False):
                sys.exit(code)  # what went wrong was written

asked = json.load(sys.stdin)
run(asked[:4], LUMIRAGE_DRAW_ONLY="1")  # of nothing, as yet
run(asked)
"""


@pytest.fixture(scope="module")
def pages(trees, tmp_path_factory) -> dict[str, tuple[str, str]]:
    """What the commands print, in one process and with one kernel, and what their pages say."""
    project = tmp_path_factory.mktemp("project")
    (project / "book").mkdir()
    for name in ("experiments.yml", "notebooks", "book/pictures"):
        (project / name).symlink_to(profiles.project_root() / name)
    asked = []
    for number, (command, n_pairs) in enumerate(PAGES.items()):
        words = ["run", *shlex.split(command), "-P", f"n_pairs={n_pairs}"]
        words += ["-P", METHODS, "-o", str(project / f"{number}.ipynb")]
        if command == CONTRASTS:
            words += ["-P", 'contrasts=["T2*w"]']
        asked.append(words)
    settings = {"LUMIRAGE_ROOT": project, "LUMIRAGE_CACHE": project / "cache"}
    settings["PYTHONPATH"] = f"{TESTS}:{TESTS.parent}"
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        input=json.dumps(asked),
        env={**os.environ, **variables(trees), **{k: str(v) for k, v in settings.items()}},
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(project) not in results.read_registrations(project / "store/paper.sqlite").to_csv()
    printed = done.stdout.split("page: ")[-1 - len(asked) : -1]
    said = [read_page(project / f"{number}.ipynb") for number in range(len(PAGES))]
    return dict(zip(PAGES, zip(printed, said, strict=True), strict=True))


def read_page(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert not [o for o in outputs if o.output_type == "error"]
    said = [o["data"].get("text/markdown", "") for o in outputs if "data" in o]
    said += [c.metadata["mystnb"]["figure"]["caption"] for c in cells if "mystnb" in c.metadata]
    return "\n".join(said)


@pytest.mark.parametrize(
    ("command", "reused", "new"),
    [
        (LUMIR, 0, 2 * 2),
        (CONTRASTS, 0, 2 * 2 * 2),
        (PREPROCESSING, 2 * 2, 2 * 2 * 2),  # T1w as it is was there
        (MACAQUES, 0, 2 * 2),
        (ULTRACORTEX, 0, 2),
        (OASIS, 0, 2 * 2),
    ],
)
def test_command_computes_its_registrations_and_its_page_names_it(pages, command, reused, new):
    printed, said = pages[command]
    assert f"{new} new, 0 failed, 0 skipped" in printed
    n_all = reused + new
    assert f"{n_all} registrations planned: {n_all} reused from the store" in said
    assert "vfa-lumir" in said
    assert f"lumirage run {command.split(' -P ')[0]} -P " in said
    assert f"-P n_pairs={PAGES[command]} -P " in said
    assert "-P 'methods=[greedy, " in said


@pytest.mark.parametrize("command", [LUMIR, OASIS])
def test_page_of_t1w(pages, command):
    _, said = pages[command]
    assert "2 ordered pairs of 3 subjects" in said
    assert "**vfa-lumir** is missing" in said
    assert "methods start from the alignment `centre`" in said
    assert "not run yet" not in said  # a method named as module:attribute counts by its id
    assert "fewer than five" in said or "not decidable" in said.lower()


def test_page_of_the_contrasts(pages):
    _, said = pages[CONTRASTS]
    assert "nimh: 2 ordered pairs of 3 subjects" in said
    assert "T2*w" in said
    assert "Every contrast starts from the centres of mass of its own" in said
    assert "Synthesised contrasts have" not in said


def test_page_of_the_preprocessing_finds_the_rows_of_another_notebook(pages):
    _, said = pages[PREPROCESSING]
    assert "2 ordered pairs of 3 subjects for the 2 conditions" in said
    assert "no network could run" not in said.lower()
    assert "The start (`centre`) is estimated" in said


def test_page_of_the_macaques(pages):
    _, said = pages[MACAQUES]
    assert "at true size" in said
    assert "at human size" in said
    assert "no macaques" not in said
    assert re.search(r"1 (ordered )?pairs? of 2 subjects|1 ordered pair", said)


def test_page_of_two_modalities(pages):
    _, said = pages[ULTRACORTEX]
    assert re.search(r"1 (ordered )?pairs? of 2 subjects|1 ordered pair", said)
    assert "{spacing_mm: 1.0}" in said
