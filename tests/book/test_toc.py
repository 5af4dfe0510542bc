"""Which pages the book has, and that none vanishes unnoticed."""

from __future__ import annotations

import pytest
import yaml

from lumirage_lib.book.toc import PAGES, list_files, select_toc
from lumirage_lib.errors import InputError
from lumirage_lib.runs.profiles import notebooks_of, project_root


@pytest.fixture
def toc() -> dict:
    return yaml.safe_load((project_root() / "_toc.yml").read_text())


@pytest.mark.parametrize("profile", ["open", "demo"])
def test_every_notebook_of_the_book_s_profiles_has_its_page(toc, profile):
    wanted = {f"{PAGES}/{notebook}_{profile}" for notebook in notebooks_of(profile)}
    assert wanted
    assert wanted <= set(list_files(toc))


def test_pages_are_listed_once_and_prose_exists(toc):
    files = list(list_files(toc))
    assert len(files) == len(set(files))
    prose = [f for f in files if not f.startswith(PAGES)]
    assert all((project_root() / f"{f}.md").exists() for f in prose)


def test_pages_of_other_profiles_are_left_out(toc):
    chosen = set(list_files(select_toc(toc, ["demo"])))
    left_out = set(list_files(toc)) - chosen
    assert left_out == {f for f in list_files(toc) if f.endswith("_open")}
    assert "book/protocol" in chosen


def test_a_part_without_pages_is_left_out(toc):
    captions = [part["caption"] for part in select_toc(toc, ["demo"])["parts"]]
    assert captions == [p["caption"] for p in toc["parts"] if "published" not in p["caption"]]


def test_an_unlisted_profile_gets_a_part_of_its_own(toc):
    last = select_toc(toc, ["demo", "smoke"])["parts"][-1]
    files = [chapter["file"] for chapter in last["chapters"]]
    assert files == [f"{PAGES}/{n}_smoke" for n in notebooks_of("smoke")]


def test_selection_leaves_the_original_alone(toc):
    before = yaml.safe_dump(toc)
    select_toc(toc, ["smoke"])
    assert yaml.safe_dump(toc) == before


@pytest.mark.parametrize("profiles", [["nonsense"], ["demo", ""]])
def test_an_unknown_profile_is_refused(toc, profiles):
    with pytest.raises(InputError, match=r"there are .*demo"):
        select_toc(toc, profiles)
