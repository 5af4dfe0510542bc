"""What is published is found again, and what was changed is found out."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from fakes import QUICK

from lumirage_lib import __version__
from lumirage_lib.cohorts import SHOWN, balanced_pairs, get_cohort
from lumirage_lib.errors import InputError
from lumirage_lib.runs.compute import compute
from lumirage_lib.runs.crate import write_crate
from lumirage_lib.runs.store import export_store
from lumirage_lib.runs.task import Task, plan
from lumirage_lib.runs.verify import check_digests, draw_tasks, register_again, write_digests

TOLERANCES = pd.DataFrame(columns=["method", "measure", "tolerance"])
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> tuple[Path, list[Task]]:
    folder = tmp_path_factory.mktemp("published")
    pairs = balanced_pairs(get_cohort("tiny").scans, 3)
    methods = {"affine": {}, "fakes:SHIFT": {"shift": [0.5, -1, 2]}, "fakes:BAD": {"how": "nan"}}
    tasks = plan("tiny", pairs, methods, preprocessing=[QUICK])
    compute(tasks, folder / "store.sqlite", keep_fields=False)
    export_store(
        folder / "store.sqlite", folder / "out", {"profile": "tiny", "finished": "2026-11-25"}
    )
    write_digests(folder / "out")
    return folder / "out", tasks


def test_draw_is_seeded_and_of_what_is_published(published):
    folder, tasks = published
    assert draw_tasks(folder, tasks, n=3, seed=1) == draw_tasks(folder, tasks, n=3, seed=1)
    assert len(draw_tasks(folder, tasks, n=None)) == 6  # what failed is not drawn
    pair = f"{tasks[0].pair.fixed.id}:{tasks[0].pair.moving.id}"
    one = draw_tasks(folder, tasks, n=None, method="affine", pair=pair)
    assert {t.method for t in one} == {"affine"}
    with pytest.raises(InputError, match="no pair '9:8' is of this run"):
        draw_tasks(folder, tasks, n=2, pair="9:8")


def test_registrations_are_found_again_and_a_changed_number_is_not(published, tmp_path):
    folder, tasks = published
    chosen = draw_tasks(folder, tasks, n=2, method="fakes:SHIFT")
    found = register_again(folder, chosen, TOLERANCES)
    assert len(found) == 2 * 3
    assert found["within"].all()
    assert found["difference"].abs().max() < 1e-9
    table = pd.read_parquet(folder / "registrations.parquet")
    at = table.index[table["key"] == chosen[0].key][0]
    measures = json.loads(table.at[at, "measures"])
    table.at[at, "measures"] = json.dumps(measures | {"dice": measures["dice"] + 0.002})
    for name in ("structures", "alignments"):
        (tmp_path / f"{name}.parquet").write_bytes((folder / f"{name}.parquet").read_bytes())
    table.to_parquet(tmp_path / "registrations.parquet")
    again = register_again(tmp_path, chosen, TOLERANCES)
    assert again.loc[~again["within"], "measure"].tolist() == ["dice"]
    allowed = pd.DataFrame({"method": ["fakes:SHIFT"], "measure": ["dice"], "tolerance": [0.003]})
    assert register_again(tmp_path, chosen, allowed)["within"].all()


def test_every_published_file_has_a_digest_and_a_changed_one_is_said(published, tmp_path):
    folder, _ = published
    assert check_digests(folder) == []
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = bytearray((tmp_path / "slices.parquet").read_bytes())
    content[10] ^= 1
    (tmp_path / "slices.parquet").write_bytes(content)
    (tmp_path / "alignments.parquet").unlink()
    (tmp_path / "new.csv").write_text("a\n")
    assert check_digests(tmp_path) == [
        "alignments.parquet: is missing",
        "new.csv: is not in run.json",
        "slices.parquet: its bytes are not those of run.json",
    ]


def test_an_export_is_a_research_object(published):
    folder, _ = published
    graph = json.loads(write_crate(folder).read_text())["@graph"]
    files = {item["@id"]: item for item in graph if item["@type"] == "File"}
    digests = json.loads((folder / "run.json").read_text())["digests"]
    assert {name: files[name]["sha256"] for name in digests} == digests
    assert "run.json" in files
    assert check_digests(folder) == []


def test_no_published_slice_is_of_images_that_may_not_be_shown():
    folder = ROOT / "results" / "open"
    rows, slices = (pd.read_parquet(folder / f"{n}.parquet") for n in ("registrations", "slices"))
    assert set(rows.loc[rows["key"].isin(slices["key"]), "cohort"]) <= SHOWN


def test_where_it_is_kept_is_said_once_it_is_kept_somewhere(published, tmp_path, monkeypatch):
    folder, _ = published
    text = (ROOT / "_config.yml").read_text()
    assert text.count("html_context:") == 1
    assert '      repository_url: ""\n' in text
    assert '      doi: ""\n' in text
    for doi in ("", "10.0000/not-one"):
        (tmp_path / "_config.yml").write_text(text.replace('doi: ""', f'doi: "{doi}"'))
        (tmp_path / "experiments.yml").write_text("{}")
        monkeypatch.setenv("LUMIRAGE_ROOT", str(tmp_path))
        graph = json.loads(write_crate(folder).read_text())["@graph"]
        root = next(item for item in graph if item["@id"] == "./")
        assert root.get("identifier", "") == doi
        assert "isBasedOn" not in root


def test_versions_agree():
    for name in (".zenodo.json", "codemeta.json", "CITATION.cff"):
        given = yaml.safe_load((ROOT / name).read_text())
        assert given["version"] == __version__


def test_published_files_are_those_of_run_json():
    assert check_digests(ROOT / "results" / "open") == []
