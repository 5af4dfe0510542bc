"""The commands of the book for the paper's own data: what each plans, and its page from end to end."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import nbformat
import pytest
from trees import MAKERS

from lumirage_lib import experiments, notebooks, results
from lumirage_lib.methods import get_method

TESTS = Path(__file__).parents[1]
BOOK = (experiments.project_root() / "book" / "data.md").read_text()
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


@pytest.fixture(autouse=True)
def folders(trees, own_cache, monkeypatch):
    for name, root in trees.items():
        monkeypatch.setenv(f"LUMIRAGE_DATA_{name.upper().replace('-', '_')}", str(root))


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
    tasks = experiments.plan_notebook(name, parameters)
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
    tasks = experiments.plan_notebook(name, parameters)
    asked = dict.fromkeys(dict(t.cohort_options)["contrast"] for t in tasks)
    assert list(asked) == ["T1w", "T2w", "T2starw", "FLAIR"]
    # T1w is registered once for this page and that of notebook 01.
    first = read_command("01_in_distribution -p paper -P cohort=nimh")
    keys = {t.key for t in experiments.plan_notebook(*first)}
    assert keys == {t.key for t in tasks if dict(t.cohort_options)["contrast"] == "T1w"}
    fine, coarse = (read_command(c) for c in COMMANDS if "cohort=ultracortex" in c)
    for (name, parameters), spacing_mm in ((fine, 0.6), (coarse, 1.0)):
        task = experiments.plan_notebook(name, parameters)[0]
        image = task.get_cohort().load_image(task.pair.fixed)
        assert image.spacing_mm == pytest.approx([spacing_mm] * 3, abs=1e-4)


@pytest.fixture
def run_page(tmp_path, monkeypatch):
    """Executes the page of a command by a quick method and a network that does nothing."""
    project = tmp_path / "project"
    project.mkdir()
    for name in ("experiments.yml", "notebooks"):
        (project / name).symlink_to(experiments.project_root() / name)
    monkeypatch.setenv("LUMIRAGE_ROOT", str(project))
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}:{TESTS.parent}")

    def run(command: str, **given: str):
        name, parameters = read_command(command, **given)
        page = notebooks.execute_notebook(name, parameters, tmp_path / "page" / "page.ipynb")
        cells = nbformat.read(page, as_version=4).cells
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        assert not [o for o in outputs if o.output_type == "error"]
        said = [o["data"].get("text/markdown", "") for o in outputs if "data" in o]
        said += [c.metadata["mystnb"]["figure"]["caption"] for c in cells if "mystnb" in c.metadata]
        table = results.read_registrations(experiments.store_path("paper"))
        assert (table["status"] == "ok").all(), table["reason"].tolist()
        return table, "\n".join(said)

    return run


ASKED = {"methods": "[greedy, 'fakes:BAD']", "n_pairs": "2"}


def only(notebook: str) -> str:
    """The one command of the book for a notebook."""
    (command,) = (c for c in COMMANDS if c.startswith(notebook))
    return command


@pytest.mark.parametrize("cohort", ["lumir", "ultracortex"])
def test_page_of_one_kind_of_image(run_page, cohort):
    command = COMMANDS[0] if cohort == "lumir" else COMMANDS[9]  # at 1 mm, with 0.6 mm on disk
    table, said = run_page(command, **ASKED)
    assert len(table) == 2 * 2
    assert set(table["cohort"]) == {cohort}
    assert "2 ordered pairs of 3 subjects" in said
    assert "methods start from the alignment `centre`" in said
    assert f"lumirage run {command} -P n_pairs=2 -P 'methods=[greedy, " in said or cohort != "lumir"
    if cohort == "lumir":
        dice = table.groupby("method")["dice"].mean()
        assert dice["greedy"] > dice["bad"] + 0.02
    else:
        assert (table["spacing_mm"] - 1 < 1e-4).all()


def test_page_of_the_contrasts(run_page):
    table, said = run_page(only("03"), **ASKED)
    assert len(table) == 4 * 2 * 2
    assert "nimh: 2 ordered pairs of 3 subjects" in said
    for contrast in ("T2w", "T2*w", "FLAIR"):
        assert f"**nimh: {contrast}.**" in said
    assert "Every contrast starts from the centres of mass of its own" in said
    assert "Synthesised contrasts have" not in said


def test_page_of_the_preprocessing_after_that_of_the_plain_pairs(run_page, trees):
    """The same registrations under two names of their condition."""
    plain = "01_in_distribution -p paper -P cohort=nimh"
    name, parameters = read_command(plain, **ASKED, root=str(trees["nimh"]))
    assert experiments.compute_notebook(name, parameters)["new"] == 2 * 2
    table, said = run_page(only("05"), **ASKED)
    assert set(table["preprocessing"]) == {"centre", "tight crop", "LPS not told"}
    assert "4 reused from the store, 8 computed now" in said
    assert "2 ordered pairs of 3 subjects, 2 perturbations" in said
    assert "no network could run" not in said.lower()
    assert "The start (`centre`) is estimated" in said


def test_page_of_the_macaques(run_page):
    table, said = run_page(only("02"), **ASKED | {"n_pairs": "1"})
    assert len(table) == 2 * 2
    assert "at true size" in said
    assert "at human size" in said
    assert "no macaques" not in said
    assert "1 ordered pairs of 2 subjects" in said
