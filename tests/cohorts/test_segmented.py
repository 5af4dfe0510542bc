"""Eighteen classes beside the labels that a cohort has."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from lumirage_lib.cohorts import Cohort, Scan, Tools, get_cohort
from lumirage_lib.cohorts.nichart import label_table
from lumirage_lib.cohorts.oasis import manual_labels
from lumirage_lib.cohorts.segmented import (
    add_segmented,
    merge_labels,
    merging_table,
    tissue_table,
)
from lumirage_lib.cohorts.sources import fetch, get_source
from lumirage_lib.errors import InputError, SourceError
from lumirage_lib.images.volumes import Volume

SCAN = Scan("1", "S1")
SHAPE = (3, 4, 2)


def make_cohort(contrast: str = "T1w", segmented: str = "contrast") -> Cohort:
    data = np.arange(24, dtype=np.float32).reshape(SHAPE)
    data = data if contrast == "T1w" else data[::-1].copy()
    labels = np.full(SHAPE, 47, np.int32)
    labels[0], labels[1] = 0, 101
    cohort = Cohort(
        "miniature",
        (SCAN,),
        lambda scan: Volume(data, np.eye(4)),
        lambda scan, label_set="fused": Volume(labels, np.eye(4)),
        {"fused": manual_labels()},
        lambda scan: f"{contrast}-{scan.id}",
        aligned_by=None if contrast == "T1w" else make_cohort(segmented=segmented),
    )
    return add_segmented(cohort, "neuromorphometrics", segmented)


class Counting:
    """A segmenter that takes no time: the intensity is the class."""

    def __init__(self):
        self.calls = 0

    def __call__(self, volume: Volume) -> np.ndarray:
        self.calls += 1
        return np.minimum(volume.data, 17)


@pytest.fixture
def tools(monkeypatch, tmp_path) -> Tools:
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path))
    return dataclasses.replace(get_tools(), segment=Counting())


def get_tools() -> Tools:
    from lumirage_lib.methods.tools import TOOLS

    return TOOLS


# ---- the table


@pytest.mark.parametrize(
    ("protocol", "names"),
    [("neuromorphometrics", manual_labels), ("dlmuse", label_table)],
)
def test_every_label_of_the_protocol_has_a_class(protocol, names):
    merged = merging_table(protocol)
    assert merged.index.is_unique
    assert set(merged.index) == set(names().index)
    assert set(merged) == {0, *tissue_table().index}


@pytest.mark.parametrize("protocol", ["neuromorphometrics", "dlmuse", "aseg"])
def test_structures_keep_their_names(protocol):
    table = pd.read_csv("lumirage_lib/data/merged_labels.csv")
    table = table[table["protocol"] == protocol]
    for label, name in tissue_table()["name"].items():
        plain = table["name"].str.replace(r"^(Left|Right) | Proper", "", regex=True)
        same = table.loc[plain == name, "class"]
        assert (same == label).all(), name
        assert len(same) or label in (1, 2, 6), name


def test_both_sides_have_one_class():
    table = pd.read_csv("lumirage_lib/data/merged_labels.csv")
    table["plain"] = table["name"].str.replace(r"^(Left|Right) ", "", regex=True)
    assert (table.groupby(["protocol", "plain"])["class"].nunique() == 1).all()


@pytest.mark.mirror
def test_classes_are_in_the_order_of_the_network():
    path = "meshnet/model30chan18cls/colormap.json"
    theirs = json.loads(fetch(get_source("neuroneural/brainchop-models", path)).read_text())
    short = {"Inferior Lateral Ventricle": "Inf Lat Vent", "VentralDC": "Ventral DC"}
    names = [name.replace("-", " ") for name in theirs["labels"]]
    names = [short.get(n, n).replace("Accumbens area", "Accumbens Area") for n in names]
    assert names == ["Unknown", *tissue_table()["name"]]


def test_unknown_label_or_protocol_is_refused():
    with pytest.raises(InputError, match=r"labels \[77\] are none of dlmuse"):
        merge_labels(np.array([[[0, 77]]]), "dlmuse")
    with pytest.raises(InputError, match="expected one of neuromorphometrics, dlmuse, aseg"):
        merging_table("talairach")


# ---- the label sets


def test_cohorts_keep_their_first_label_set_and_their_fingerprints():
    for name, first in (("oasis", "manual"), ("nichart", "dlmuse")):
        cohort = get_cohort(name)
        names = list(cohort.label_sets)
        assert names[0] == first
        assert names[-2:] == [f"{first}-18", "seg-T1w"]
    flair = get_cohort("nichart", contrast="FLAIR", segmented="contrast")
    assert list(flair.label_sets)[-2:] == ["seg-T1w", "seg-contrast"]
    assert list(get_cohort("nichart", contrast="FLAIR").label_sets)[-1] == "seg-T1w"
    oasis = get_cohort("oasis")
    expected = [s.sha256[:16] for s in oasis.sources(oasis.scans[0])[:3]]
    assert oasis.fingerprint(oasis.scans[0]).split(".") == expected


@pytest.mark.parametrize(
    ("segmented", "more"),
    [("", []), ("T1w", ["seg-T1w"]), ("contrast", ["seg-T1w", "seg-contrast"])],
)
def test_what_is_segmented_can_be_chosen(tools, segmented, more):
    cohort = make_cohort("FLAIR", segmented)
    assert list(cohort.label_sets) == ["fused", "fused-18", *more]
    assert len(cohort.sources(SCAN)) == (1 if more else 0)
    cohort.prepare(SCAN, tools)
    assert tools.segment.calls == len(more)


def test_synthesised_contrasts_pass_the_choice_on_to_their_anatomy():
    def sets(segmented):
        return list(get_cohort("synthetic", contrast="T2w", segmented=segmented).label_sets)

    assert sets("")[-1] == "manual-18"
    assert sets("T1w")[-1] == "seg-T1w"
    assert sets("contrast")[-2:] == ["seg-T1w", "seg-contrast"]


def test_other_choices_are_refused():
    with pytest.raises(
        InputError, match="segmented 'FLAIR', expected one of '', 'T1w', 'contrast'"
    ):
        get_cohort("oasis", segmented="FLAIR")


def test_own_labels_are_merged():
    data = make_cohort().load_labels(SCAN, "fused-18").data
    assert [set(plane.ravel()) for plane in data] == [{0}, {2}, {14}]


def test_each_image_is_segmented_once_and_lies_on_its_grid(tools):
    t1w, flair = make_cohort(), make_cohort("FLAIR")
    for cohort in (t1w, flair, flair):
        cohort.prepare(SCAN, tools)
    assert tools.segment.calls == 2
    on_t1w = flair.load_labels(SCAN, "seg-T1w")
    assert_array_equal(on_t1w.data, np.minimum(t1w.load_image(SCAN).data, 17))
    on_flair = flair.load_labels(SCAN, "seg-contrast")
    assert_array_equal(on_flair.data, np.minimum(flair.load_image(SCAN).data, 17))
    assert_array_equal(on_flair.affine, flair.load_image(SCAN).affine)
    assert on_flair.data.dtype == np.int32


def test_weights_are_needed_until_the_scan_is_segmented(tools):
    cohort = make_cohort()
    assert [s.repository for s in cohort.sources(SCAN)] == ["neuroneural/brainchop-models"]
    cohort.prepare(SCAN, tools)
    assert cohort.sources(SCAN) == []


def test_scan_that_was_not_prepared_says_so(tools):
    with pytest.raises(SourceError, match="not made on this machine yet"):
        make_cohort().load_labels(SCAN, "seg-T1w")
