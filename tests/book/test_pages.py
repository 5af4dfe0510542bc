"""What a page says of itself."""

from __future__ import annotations

import shlex

import pandas as pd
import pytest

from lumirage_lib.book import notebooks, pages

NOTEBOOK = "01_in_distribution"


def read_command(command: str) -> dict:
    """The parameters that a command of the page gives the notebook, as the command line reads them."""
    tool, run, notebook, option, profile, *rest = shlex.split(command)
    assert (tool, run, option) == ("lumirage", "run", "-p")
    assert rest[::2] == ["-P"] * (len(rest) // 2)
    given = dict(item.split("=", 1) for item in rest[1::2])
    return notebooks.resolve_parameters(notebook, profile, given)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"n_pairs": 4, "rescan": True},
        {"methods": ["affine", "module:MY_METHOD"], "limits": {"greedy": 2}, "margin": 1e-5},
        {"cohort": "nimh", "root": "/data/of mine/it's", "cohort_options": {"contrast": "T2w"}},
        {"methods": [f"a-method-with-a-long-name-{i}" for i in range(20)], "limits": {}},
        {"alignment": "", "margin": 2.0},
    ],
)
@pytest.mark.parametrize("profile", ["smoke", "open"])
def test_the_command_of_a_page_gives_its_parameters_again(profile, changed):
    usual = notebooks.resolve_parameters(NOTEBOOK, profile)
    command = pages.reproduce_command(NOTEBOOK, usual | changed)
    assert read_command(command) == usual | changed
    assert command.count(" -P ") == sum(usual[name] != changed[name] for name in changed)


def test_the_page_shows_the_command_and_writes_its_tables(tmp_path, monkeypatch):
    monkeypatch.setenv("LUMIRAGE_ROOT", str(notebooks.project_root()))
    monkeypatch.chdir(tmp_path)
    said = []
    monkeypatch.setattr(pages, "say", said.append)
    parameters = notebooks.resolve_parameters(NOTEBOOK, "smoke", {"n_pairs": 5})
    pages.show_reproduce(NOTEBOOK, parameters, {"pairs": pd.DataFrame({"dice": [0.5, 0.25]})})
    assert f"```sh\nlumirage run {NOTEBOOK} -p smoke -P n_pairs=5\n```" in said[0]
    # Beside the default's, whose name has no hash of what was changed.
    (path,) = tmp_path.glob(f"{NOTEBOOK}_smoke_*_pairs.csv")
    assert f"({path.name}), 2 rows" in said[0]
    table = pd.read_csv(path)
    assert table["dice"].tolist() == [0.5, 0.25]
