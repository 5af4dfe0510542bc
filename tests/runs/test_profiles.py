from __future__ import annotations

import pytest
from faulty import lumirage

from lumirage_lib.errors import InputError
from lumirage_lib.runs import store
from lumirage_lib.runs.profiles import list_profiles, notebooks_of, project_root, store_path


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "experiments.yml").write_text("one: {smoke: {n: 1}, open: {}}\ntwo: {smoke: {}}\n")
    monkeypatch.setenv("LUMIRAGE_ROOT", str(tmp_path))
    return tmp_path


def test_profiles_are_those_of_the_table(project):
    assert list_profiles() == ["smoke", "open"]
    assert notebooks_of("smoke") == ["one", "two"]
    assert store_path("open") == project / "store" / "open.sqlite"


def test_store_that_is_being_filled_is_not_taken_for_a_full_one(project, monkeypatch):
    """A second process once drew empty pages while the first took the published tables in."""
    published = project / "results" / "open" / "registrations.parquet"
    published.parent.mkdir(parents=True)
    published.touch()
    calls = []

    def take_in(folder, path):
        calls.append(path)
        with store.open_store(path):
            pass  # it is there, and empty
        if len(calls) == 1:  # somebody else asks meanwhile, and takes them in as well
            assert store_path("open") == path

    monkeypatch.setattr(store, "import_store", take_in)
    store_path("open")
    assert len(calls) == 2
    store_path("open")
    assert len(calls) == 2


@pytest.mark.parametrize("profile", ["opne", "../../x", "", "smoke/../x", "[red]"])
@pytest.mark.parametrize("command", [["results", "compute"], ["results", "status"]])
def test_profile_that_there_is_not_is_refused_with_those_there_are(project, profile, command):
    told = lumirage(*command, "-p", profile)
    assert told.code == 1
    assert f"no profile {profile!r} in experiments.yml; there are smoke, open" in told.text
    assert sorted(p.name for p in project.iterdir()) == ["experiments.yml"]


def test_root_without_the_table_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("LUMIRAGE_ROOT", str(tmp_path))
    with pytest.raises(InputError, match=r"LUMIRAGE_ROOT=.*expected the folder with experiments"):
        project_root()


@pytest.mark.parametrize("text", ["one: [", "just text", "- 1\n- 2", "one: 3", "\x00"])
def test_table_that_is_none_is_refused(project, text):
    (project / "experiments.yml").write_text(text)
    with pytest.raises(InputError, match=r"experiments\.yml: "):
        store_path("open")
