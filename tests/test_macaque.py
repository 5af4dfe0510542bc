"""Macaque cohort, plan and numbers of notebook 02."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lumirage_lib.analyses import macaque as analysis
from lumirage_lib.cohorts import Pair, get_cohort
from lumirage_lib.cohorts.macaque import HUMAN_SCALE, arm_labels, read_source_table, related_pairs
from lumirage_lib.experiments import Run
from lumirage_lib.methods import get_method
from lumirage_lib.perturb import PAIR_STEPS
from lumirage_lib.plans.macaque import SIZES, plan_macaque
from lumirage_lib.preprocess import PairImages

PARAMETERS = {
    "cohort": "macaque",
    "sizes": ["true size", "human size"],
    "methods": ["affine", "greedy", "clapirn", "not-there"],
    "margin": 0.01,
    "seed": 1,
}


@pytest.mark.mirror
def test_packaged_labels_equal_the_source():
    mine = arm_labels().reset_index()
    pd.testing.assert_frame_equal(mine, read_source_table(), check_dtype=False)


def test_labels_are_consecutive_and_two_sided():
    table = arm_labels()
    assert_array_equal(table.index, np.arange(1, len(table) + 1))
    assert table["arm"].is_unique
    sides = table["name"].str.split().str[0].value_counts()
    assert sides["Left"] == sides["Right"] == len(table) / 2
    assert not table.isna().any().any()


def test_two_forms_of_one_template_are_related_and_all_else_between():
    cohort = get_cohort("macaque")
    pairs = related_pairs(cohort.scans)
    assert len(pairs) == len(set(pairs)) == 12
    related = {p.id for p in pairs if p.kind == "related"}
    assert related == {"NMT2Sym->NMT2Asym", "NMT2Asym->NMT2Sym"}
    with_animal = [p for p in pairs if "individual" in (p.fixed.id, p.moving.id)]
    assert len(with_animal) == 6
    assert not any(cohort.has_labels(p, "aseg") for p in with_animal)
    assert all(cohort.has_labels(p, "arm2") for p in pairs)


def test_human_size_multiplies_the_header_in_every_direction_and_moves_nothing():
    image = np.ones((4, 5, 6), np.float32)
    pair = PairImages(image, image, np.diag([0.5, 0.5, 0.4, 1.0]), np.eye(4), np.eye(4))
    grown = pair
    for step in SIZES["human size"].pair_steps[1:]:
        grown = PAIR_STEPS[step.name](grown, **dict(step.arguments))
    assert_allclose(grown.spacing_mm, HUMAN_SCALE * np.array([0.5, 0.5, 0.4]))
    assert_array_equal(grown.to_fixed, np.eye(4))
    assert_array_equal(grown.fixed, image)
    tasks = plan_macaque({**PARAMETERS, "methods": ["affine"]})
    assert len({t.key for t in tasks}) == 2 * 12
    assert len({t.alignment_key for t in tasks}) == 12  # one affine, whatever the size


def test_generated_brains_have_the_lengths_of_a_macaque():
    options = {"spacing_mm": 6.0, "n_subjects": 2}
    base, small = get_cohort("template", **options), get_cohort("macaque_like", **options)
    scan = small.scans[0]
    image = small.load_image(scan)
    assert_array_equal(image.data, base.load_image(scan).data)
    lengths = [np.ptp(np.nonzero(image.data)[a]) * image.spacing_mm[a] for a in range(3)]
    assert all(abs(got - mm) < 10 for got, mm in zip(lengths, (60, 76, 52), strict=True))
    assert small.fingerprint(scan) != base.fingerprint(scan)
    assert_array_equal(small.load_labels(scan, "manual").affine, image.affine)


def make_run(tasks, gap: dict) -> Run:
    rng, hard, rows = np.random.default_rng(0), {}, []
    for task in tasks:
        spec, pair = get_method(task.method), task.pair
        size = next(s for s, how in SIZES.items() if how.name == task.preprocessing.name)
        dice = hard.setdefault(pair.id, rng.normal(0.7, 0.02)) + 0.0005 * rng.normal()
        dice += gap[size] * (spec.family == "deep") - 0.2 * (spec.family == "baseline")
        rows.append(
            {
                "key": task.key, "kind": pair.kind, "method": spec.id, "family": spec.family,
                "fixed": pair.fixed.id, "moving": pair.moving.id, "status": "ok", "dice": dice,
                "fixed_subject": pair.fixed.subject, "moving_subject": pair.moving.subject,
                "preprocessing": task.preprocessing.name,
            }
        )  # fmt: skip
    counts = {"reused": len(rows), "new": 0, "failed": 0, "skipped": 0}
    return Run(pd.DataFrame(rows), pd.DataFrame(), counts, {}, tasks, Path("none"))


def test_difference_is_found_at_each_size_and_related_pairs_do_not_count():
    tasks = plan_macaque(PARAMETERS)
    run = make_run(tasks, {"true size": -0.1, "human size": 0.0})
    result = analysis.analyse(run, PARAMETERS)
    table = result.differences.set_index(["condition", "method"])
    assert table.loc[("true size", "clapirn"), "change"] == pytest.approx(-0.1, abs=0.002)
    assert table.loc[("human size", "all networks"), "change"] == pytest.approx(0, abs=0.002)
    assert table["n_pairs"].eq(10).all()
    assert table["n_subjects"].eq(3).all()
    verdict = result.verdicts["macaque: true size"]
    assert verdict.verdict == "not supported"
    assert result.design == "10 ordered pairs of 3 subjects."
    assert "conditional LapIRN +0.1" in result.size_text
    assert "2 pairs that no test above counts" in result.related_text
    assert "left out: not-there" in result.state


@pytest.mark.mirror
def test_four_brains_have_their_labels_inside_and_the_volume_of_a_macaque():
    cohort = get_cohort("macaque")
    for scan in cohort.scans:
        image, labels = cohort.load_image(scan), cohort.load_labels(scan, "arm2")
        assert image.orientation == "RAS"
        assert_allclose(labels.affine, image.affine)
        assert labels.data.min() == 0
        assert labels.data.max() <= len(arm_labels())
        brain = image.data > 0
        assert 85 < brain.sum() * np.prod(image.spacing_mm) / 1000 < 110
        assert (labels.data > 0)[brain].sum() > 0.998 * (labels.data > 0).sum()
        # Right lies on the right, which a flipped atlas would not.
        x = np.indices(labels.shape)[0]
        right = arm_labels().index[arm_labels()["name"].str.startswith("Right")]
        side = np.isin(labels.data, right)
        assert x[side].mean() > x[(labels.data > 0) & ~side].mean() + 20
    pair = Pair(cohort.scan("MEBRAINS"), cohort.scan("NMT2Sym"))
    found = [set(np.unique(cohort.load_labels(s, "aseg").data)) for s in (pair.fixed, pair.moving)]
    assert len(found[0] & found[1] - {0}) > 14
    assert found[0] - {0} <= set(cohort.label_sets["aseg"].index)
