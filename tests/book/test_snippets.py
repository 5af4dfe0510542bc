"""What the prose takes from the code."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from pybtex.database import parse_file

from lumirage_lib.book.snippets import (
    describe_cohorts,
    describe_exposure,
    describe_landing,
    describe_methods,
    describe_preprocessing,
    describe_sources,
    write_snippets,
)
from lumirage_lib.cohorts import COHORTS
from lumirage_lib.cohorts.sources import Source, load_sources
from lumirage_lib.errors import InputError
from lumirage_lib.images.preprocess import STANDARD, step
from lumirage_lib.methods import get_method, list_methods
from lumirage_lib.runs.profiles import project_root


def table_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_landing_page_has_what_the_scoreboard_computed(tmp_path, write_page):
    page = write_page(tmp_path / "experiments" / "00_summary_open.ipynb")
    with pytest.raises(InputError, match="has no landing"):
        describe_landing(page.parent, [("00_summary", "open")])
    notebook = nbformat.read(page, as_version=4)
    cards = '<a href="01_a_open.html">Chapter 01</a>'
    notebook.metadata["lumirage"] = {"landing": {"sentences": ["One.", "Two."], "cards": cards}}
    nbformat.write(notebook, page)
    found = describe_landing(page.parent, [("00_summary", "open"), ("01_a", "demo")])
    assert found["answer"] == "- One.\n- Two.\n"
    assert 'href="experiments/01_a_open.html"' in found["scoreboard"]
    assert "(experiments/00_summary_open.ipynb#what-changed-since-version-1)" in found["scoreboard"]
    links = re.findall(r":link: (\S+)", found["doors"])
    assert links == ["experiments/00_summary_open", "experiments/01_a_demo", "lab/index"]


def test_the_landing_page_answers_what_no_claim_asks(tmp_path, write_page):
    """Title and headline are those of the executed page; one that was executed before is named."""
    summary = write_page(tmp_path / "experiments" / "00_summary_open.ipynb")
    page = write_page(tmp_path / "experiments" / "10_cause_open.ipynb")
    notebook = nbformat.read(summary, as_version=4)
    notebook.metadata["lumirage"] = {"landing": {"sentences": ["One."], "cards": ""}}
    nbformat.write(notebook, summary)
    pages = [("00_summary", "open"), ("09_do_no_harm", "demo"), ("10_cause", "open")]
    assert describe_landing(page.parent, pages[:2])["beyond"] == ""
    with pytest.raises(InputError, match=r"10_cause_open\.ipynb: has no headline"):
        describe_landing(page.parent, pages)
    notebook = nbformat.read(page, as_version=4)
    notebook.cells[0].source = "# A cause\n\n**Question.** Why\nso?"
    notebook.metadata["lumirage"] = {"headline": "Because."}
    nbformat.write(notebook, page)
    found = describe_landing(page.parent, pages)["beyond"]
    assert found.startswith("## Beyond the claims\n")
    assert "- Why so? **Because.** [A cause](experiments/10_cause_open.ipynb)\n" in found


def test_a_book_without_a_published_run_says_so(tmp_path):
    found = describe_landing(tmp_path, [("01_a", "demo")])
    assert "no published run" in found["answer"]
    assert found["beyond"] == ""
    assert ":link: glossary" in found["doors"]


def test_sources_are_counted_once_each_with_their_licence():
    sources = load_sources()
    rows = table_rows(describe_sources(sources))
    assert sum(int(row[1]) for row in rows) == len(sources)
    megabytes = sum(s.size_mb for s in sources.values())
    assert sum(float(row[2]) for row in rows) == pytest.approx(megabytes, abs=0.05 * len(rows))
    assert {licence for row in rows for licence in row[3].split("; ")} >= {"MIT"}


def test_a_repository_at_two_commits_has_two_rows():
    one = Source("o/n", "a" * 40, "x", "0", 2_000_000, "MIT")
    other = replace(one, commit="b" * 40, bytes=500_000)
    rows = table_rows(describe_sources({"1": one, "2": other}))
    assert [row[1:3] for row in rows] == [["1", "2.0"], ["1", "0.5"]]


def test_every_cohort_says_what_it_is():
    rows = table_rows(describe_cohorts(COHORTS))
    assert [row[0] for row in rows] == [f"`{name}`" for name in COHORTS]
    assert all(len(row[1]) > 20 for row in rows)


def test_methods_show_what_they_are_given():
    network, classic = get_method("lapirn-disp"), get_method("greedy")
    rows = table_rows(describe_methods([network, classic]))
    assert rows[0][2] == network.input.orientation
    assert "×".join(map(str, network.input.grid)) in rows[0][3]
    assert f"{network.input.intensity:g}" in rows[0][4]
    assert rows[1][1:] == ["iterative", "RAS", "any", "as given"]


def test_methods_show_their_parameters_and_whose_weights_they_read():
    text = describe_methods(list_methods())
    for spec in list_methods():
        assert all(f"{name} = {value}" in text for name, value in spec.parameters.items())
        assert spec.weights is None or spec.weights.repository in text


def test_preprocessing_shows_the_values_that_hold_not_the_defaults():
    text = describe_preprocessing(replace(STANDARD, pair_steps=(step("crop", margin_mm=7.5),)))
    assert "margin_mm = 7.5" in text
    assert "high = 99.9" in text  # a default of `robust`, which the condition leaves alone


def test_an_unchanged_snippet_is_not_written_again(tmp_path):
    write_snippets(tmp_path, [])
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    (tmp_path / "methods.md").write_text("stale")
    write_snippets(tmp_path, [])
    after = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"methods.md"}
    assert (tmp_path / "methods.md").read_text() != "stale"


def test_prose_includes_only_what_is_written(tmp_path):
    write_snippets(tmp_path, [])
    written = {f"experiments/{p.name}" for p in tmp_path.iterdir()}
    prose = "".join(p.read_text() for p in (project_root() / "book").glob("*.md"))
    included = re.findall(r"```\{include\} (experiments/\S+)", prose)
    assert set(included) == written


def test_every_key_the_code_cites_is_in_the_bibliography():
    known = parse_file(str(project_root() / "book" / "references.bib")).entries
    cited = {key for spec in list_methods() for key in spec.citation.split(",")}
    for path in Path(project_root(), "lumirage_lib", "cohorts").glob("*.py"):
        for keys in re.findall(r'reference="(\w[\w,]*)"', path.read_text()):
            cited |= set(keys.split(","))
    assert cited <= set(known)


def test_who_has_seen_what_has_every_network_and_every_cohort_that_is_here():
    seen, trained = describe_exposure(list_methods(), COHORTS).split("\n\n")[:2]
    networks = [spec.id for spec in list_methods() if spec.family == "deep"]
    rows = {row[0].strip("`"): row[1:] for row in table_rows(seen)}
    assert list(rows) == networks
    header = next(line for line in seen.splitlines() if line.startswith("| network"))
    groups = [set(re.findall(r"`([^`]+)`", cell)) for cell in header.strip("|").split("|")[1:]]
    oasis = next(k for k, names in enumerate(groups) if "oasis" in names)
    assert "macaque" not in groups[oasis]
    assert rows["clapirn"][oasis] == "very probably seen"
    assert rows["lkunet"][oasis] == "not seen"
    assert {"oasis", "nichart", "real5", "macaque", "ixi2"} <= set().union(*groups)
    assert all(all(row) for row in table_rows(trained))  # data and evidence of each
