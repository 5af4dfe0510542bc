"""What a page says of itself."""

from __future__ import annotations

import shlex

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from lumirage_lib.book import notebooks, pages
from lumirage_lib.errors import InputError
from lumirage_lib.experiments.opening import Opening

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
    pages.show_making(NOTEBOOK, parameters, {"pairs": pd.DataFrame({"dice": [0.5, 0.25]})})
    assert f"```sh\nlumirage run {NOTEBOOK} -p smoke -P n_pairs=5\n```" in said[0]
    # Beside the default's, whose name has no hash of what was changed.
    (path,) = tmp_path.glob(f"{NOTEBOOK}_smoke_*_pairs.csv")
    assert f"({path.name}), 2 rows" in said[0]
    table = pd.read_csv(path)
    assert table["dice"].tolist() == [0.5, 0.25]


def test_a_figure_is_kept_as_svg_and_one_with_text_that_is_too_small_is_refused(
    tmp_path, monkeypatch
):
    shown = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: shown.append(k))
    monkeypatch.setattr(pages, "display", lambda *a, **k: shown.append(k))
    figure, axes = plt.subplots(figsize=(7, 2))
    axes.set_xlabel("read me", fontsize=8)
    assert pages.find_least_text_px(figure) == pytest.approx(8 / 72 * 672 / 7)
    pages.show(figure, "fig", "caption", "alt")
    about = shown[0]["metadata"]["lumirage"]
    assert about["width"] == "100%"
    assert about["caption"] == "caption [SVG](fig.svg)"
    assert "read me" in (tmp_path / "fig.svg").read_text()  # letters, not curves
    figure, axes = plt.subplots(figsize=(10, 2))
    axes.set_xlabel("read me", fontsize=8)
    with pytest.raises(InputError, match=r"fig: text of 7.5 px"):
        pages.show(figure, "fig", "caption", "alt")


def test_how_a_page_begins(monkeypatch):
    said = []
    monkeypatch.setattr(pages, "display", lambda text, **k: said.append((text.data, k)))
    opening = Opening("It is so.", ("**What.** This.", ""), of="mice")
    pages.say_headline(opening)
    pages.say_points(opening)
    (headline, more), (points, _) = said
    assert "It is so." in headline
    assert "no claim is judged" in headline
    assert more["metadata"]["lumirage"] == {"of": "mice", "headline": "It is so."}
    assert points.count("\n- ") == 1
