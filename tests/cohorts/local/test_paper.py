"""The paper's protocol on miniature data: what is planned, and the command that checks a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from synthetic import known_pair
from trees import MAKERS

from lumirage_lib.book import notebooks
from lumirage_lib.errors import InputError
from lumirage_lib.experiments import list_tasks, plan_notebook
from lumirage_lib.experiments.pairs import cohort_options
from lumirage_lib.experiments.paper import choose_methods, plan_paper
from lumirage_lib.images.preprocess import STANDARD, PairImages
from lumirage_lib.methods import get_method, run_method
from lumirage_lib.runs import profiles

PARAMETERS = {
    "methods": ["affine", "fireants-greedy"],
    "limits": {},
    "n_pairs": 0,
    "alignment": "centre",
    "rescan": False,
    "seed": 0,
}


@pytest.mark.parametrize(
    ("name", "kernel", "scales", "iterations"),
    [
        ("lumir", 7, [8, 4, 2, 1], [200, 100, 50, 20]),
        ("primede", 11, [8, 4, 2, 1], [200, 200, 100, 50]),
        ("ultracortex", 7, [12, 8, 4, 2, 1], [200, 200, 100, 100, 20]),
    ],
)
def test_fireants_runs_with_the_settings_of_the_paper(name, kernel, scales, iterations, tmp_path):
    root = str(MAKERS[name](tmp_path))
    given = PARAMETERS | {"cohort": name, "root": root}
    tasks = list_tasks(plan_notebook("01_in_distribution", given))
    assert all(t.preprocessing.alignment == "centre" for t in tasks)
    found = [t.full_parameters() for t in tasks if t.method == "fireants-greedy"]
    assert found
    for parameters in found:
        assert parameters["kernel"] == kernel
        assert parameters["scales"] == scales
        assert parameters["iterations"] == iterations
        assert parameters["learning_rate"] == 0.75
    assert get_method("fireants-syn").parameters["learning_rate"] == 0.375
    assert all(t.full_parameters() == {} for t in tasks if t.method == "affine")
    assert not any(root in str([t.key, t.alignment_key]) for t in tasks)


def test_pairs_of_two_modalities_are_registered_on_descriptors(tmp_path):
    parameters = PARAMETERS | {
        "cohort": "ultracortex",
        "root": str(MAKERS["ultracortex"](tmp_path)),
    }
    asked = ["affine", "fireants-greedy", "fireants-syn"]
    tasks = [t for t in plan_paper(parameters | {"methods": asked}) if t.method != "affine"]
    for task in tasks:
        crosses = "sub-37" in task.pair.id
        found = task.full_parameters()
        assert (found.get("mind_radius", 0) > 0) == crosses
        assert found["scales"] == [12, 8, 4, 2, 1]
        assert found["learning_rate"] == (0.75 if "greedy" in get_method(task.method).id else 0.375)
    assert len(tasks) == 6 * 2
    # On the page each is one method, which has seen all pairs.
    names = Counter(get_method(task.method).id for task in tasks)
    assert names == {"fireants-greedy": 6, "fireants-syn": 6}


def test_symmetric_method_recovers_a_deformation_across_modalities():
    fixed, moving, true = known_pair()
    other = (1 - moving) ** 2 * (moving > 0)
    pair = PairImages(fixed, other.astype(np.float32), np.eye(4), np.eye(4), np.eye(4))
    (name,) = choose_methods("ultracortex", ["fireants-syn"], True)
    spec = get_method(name)
    quick = spec.with_parameters({"scales": [2, 1], "iterations": [20, 8]})
    inside = fixed > 0.3
    error = np.linalg.norm((run_method(spec, pair, quick) - true)[:, inside], axis=0).mean()
    assert error < 0.7 * np.linalg.norm(true[:, inside], axis=0).mean()


def test_limits_and_number_of_pairs_hold_and_the_start_is_the_affine_unless_said(tmp_path):
    parameters = PARAMETERS | {"cohort": "lumir", "root": str(MAKERS["lumir"](tmp_path, 4))}
    del parameters["alignment"]
    limited = plan_paper(parameters | {"limits": {"fireants-greedy": 1}, "n_pairs": 2})
    assert [t.method for t in limited] == ["affine", "fireants-greedy", "affine"]
    assert {t.preprocessing for t in limited} == {STANDARD}
    with pytest.raises(InputError, match="limit for"):
        plan_paper(parameters | {"limits": {"syn": 1}})


def test_a_checkpoint_that_is_not_here_is_left_out_and_an_unknown_method_refused(tmp_path):
    assert list(choose_methods("lumir", ["greedy", "vfa-lumir"], False)) == ["greedy"]
    parameters = PARAMETERS | {"cohort": "lumir", "root": str(MAKERS["lumir"](tmp_path))}
    with pytest.raises(InputError, match="no method 'gredy'"):
        plan_paper(parameters | {"methods": ["gredy"]})


def test_the_folder_may_be_set_outside_the_parameters(tmp_path, monkeypatch):
    root = MAKERS["nimh"](tmp_path)
    given = PARAMETERS | {"cohort": "nimh", "cohort_options": {"contrast": "T2w"}}
    inside = plan_paper(given | {"root": str(root)})
    monkeypatch.setenv("LUMIRAGE_DATA_NIMH", str(root))
    assert "root" not in cohort_options(given)
    outside = plan_paper(given)
    assert [t.key for t in outside] == [t.key for t in inside]
    assert not any(str(root) in repr(t) for t in outside)


def test_without_a_complete_pair_the_command_that_says_why_is_named(tmp_path):
    root = MAKERS["lumir"](tmp_path, 2)
    next((root / "synthsegVal").iterdir()).unlink()
    with pytest.raises(InputError, match="lumirage data check lumir"):
        plan_paper(PARAMETERS | {"cohort": "lumir", "root": str(root)})


# ---- the command


def lumirage(*arguments, **environment) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "lumirage_lib.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)


def test_check_lists_what_is_there_what_is_missing_and_the_pairs(tmp_path):
    root = MAKERS["nimh"](tmp_path)
    lost = root / "derivatives/synthseg/sub-ON00002/ses-01/anat"
    (lost / "sub-ON00002_ses-01_T2w_dseg.nii.gz").unlink()
    out = lumirage("data", "check", "nimh", "--root", root, "-P", "contrast=T2w")
    assert out.returncode == 0, out.stderr
    assert "3 images, 2 synthseg label maps" in out.stdout
    assert "sub-ON00002_ses-01_T2w.nii.gz: no synthseg labels beside it" in out.stdout
    assert "complete pairs: 2" in out.stdout
    assert "sub-ON00001_ses-01 -> sub-ON00003_ses-01" in out.stdout
    for path in (root / "derivatives").rglob("*_T2w_dseg.nii.gz"):
        path.write_bytes(b"nothing")
    out = lumirage("data", "check", "nimh", "--root", root, "-P", "contrast=T2w", "--quick")
    assert out.returncode == 1
    assert out.stdout.count("is not a gzip file") == 2
    assert "no pair is complete" in out.stderr
    assert "Traceback" not in out.stderr


def test_profile_paper_is_made_of_parameters_that_the_notebook_has():
    assert "01_in_distribution" in profiles.notebooks_of("paper")
    for name in profiles.notebooks_of("paper"):
        assert notebooks.resolve_parameters(name, "paper")["profile"] == "paper"
