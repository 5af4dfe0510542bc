"""Links of the pages come from one address, and none is invented."""

from __future__ import annotations

import pytest
import readers
import yaml

from lumirage_lib.runs.profiles import project_root

PAGE = "book/experiments/01_in_distribution_open"


def test_without_a_repository_there_are_no_links_and_no_site():
    config = yaml.safe_load((project_root() / "_config.yml").read_text())
    assert "repository_url" in config["sphinx"]["config"]["html_theme_options"]
    assert readers.list_buttons("", "main", PAGE) == []
    assert readers.find_site("") == ""
    assert "http" not in " ".join(readers.cite(readers.read_citation(), ""))


@pytest.mark.parametrize(
    ("page", "source"),
    [
        (PAGE, "notebooks/01_in_distribution.py"),
        ("book/experiments/lab/1_match", "notebooks/lab/1_match.py"),
        ("book/lab/index", "book/lab/index.md"),
        ("book/rules", "book/rules.md"),
    ],
)
def test_a_page_is_edited_where_it_is_made(page, source):
    assert readers.find_source(page) == source
    assert (project_root() / source).exists()


def test_another_host_than_github_gets_no_binder_and_no_site():
    address = "https://git.example.org/group/lumirage"
    assert [g["label"] for g in readers.list_buttons(address, "main", PAGE)] == ["source-buttons"]
    assert readers.find_site(address) == ""


def test_a_description_is_the_first_paragraph_of_some_length():
    body = f"<h1>A</h1><p>Short.</p><p>It <em>is</em> so &amp; {'very ' * 60}long.</p>"
    about = readers.describe_page(body)
    assert about.startswith("It is so & very")
    assert len(about) <= readers.LONGEST
    assert about.endswith("…")
