"""The weights that come with the library: whole, described, small, and of use without a download."""

from __future__ import annotations

import re

import numpy as np
import pooch
import pytest

from lumirage_lib.cohorts import get_cohort
from lumirage_lib.cohorts.base import Pair
from lumirage_lib.cohorts.sources import fetch
from lumirage_lib.experiments.cause.networks import FOLDER
from lumirage_lib.images.linear import centre_alignment
from lumirage_lib.images.preprocess import STANDARD, prepare_pair
from lumirage_lib.images.warp import warp_image
from lumirage_lib.methods import get_method, missing, run_method
from lumirage_lib.methods.deep.vfa import SPECS
from lumirage_lib.methods.local import SHIPPED, find_local, read_header, read_sums
from lumirage_lib.runs.task import plan


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch, tmp_path):
    """No mirror, no cache, and an address that answers nothing."""
    monkeypatch.setenv("LUMIRAGE_MIRROR", "http://127.0.0.1:9")
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path))


@pytest.mark.parametrize("folder", [SHIPPED, FOLDER])
def test_folder_holds_what_its_sums_name_and_a_card_for_each(folder):
    files = {path.stem for path in folder.glob("*.safetensors")}
    assert files == read_sums(folder).keys()
    assert files
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 20e6
    for name, sha256 in read_sums(folder).items():
        path = folder / f"{name}.safetensors"
        assert pooch.file_hash(str(path), alg="sha256") == sha256
        card = path.with_suffix(".md").read_text(encoding="utf-8")
        assert f"sha256 {sha256}" in card
        about = read_header(path)
        assert f"{about['iterations']} iterations" in card
        if about.get("settled") is not None:
            assert ("still learning" in card) == (about["settled"] == "False")


def test_every_shipped_file_is_a_method():
    assert find_local().keys() == read_sums(SHIPPED).keys() == {spec.id for spec in SPECS}


def test_cards_name_no_scan_that_is_tested():
    cohort = get_cohort("oasis")
    for path in [*SHIPPED.glob("*.md"), *FOLDER.glob("*.md")]:
        card = path.read_text(encoding="utf-8")
        listed = set(re.findall(r"\b1[01]\d\d\b", card.split("| images |")[1].split("\n")[0]))
        assert len(listed) == (4 if "-few-" in path.name else 13)
        assert listed <= {scan.id for scan in cohort.scans if scan.group == "train"}


def test_vfa_finds_a_known_deformation_without_a_download():
    spec = get_method("vfa")
    assert missing(spec) is None
    assert fetch(spec.weights).parent == SHIPPED
    cohort = get_cohort("template", spacing_mm=2.0, n_subjects=2)
    pair = Pair(*cohort.scans[:2])
    fixed, moving = (cohort.load_image(scan) for scan in (pair.fixed, pair.moving))
    images = prepare_pair(fixed, moving, STANDARD, centre_alignment(fixed, moving))
    found = run_method(spec, images, {"weights": str(fetch(spec.weights))})
    assert found.shape == (3, *images.fixed.shape)
    inside = images.fixed > 0
    before, after = (
        np.corrcoef(images.fixed[inside], image[inside])[0, 1]
        for image in (images.moving, warp_image(images.moving, found))
    )
    assert 1 - after < 0.6 * (1 - before)


@pytest.mark.parametrize("name", ["vfa", "vfa+io"])
def test_key_of_a_registration_holds_the_bytes_of_the_weights(name):
    pair = Pair(*get_cohort("template", spacing_mm=8.0, n_subjects=2).scans[:2])
    options = {"spacing_mm": 8.0, "n_subjects": 2}
    (task,) = plan("template", [pair], [name], cohort_options=options)
    assert get_method(name).weights.sha256 in read_sums(SHIPPED).values()
    assert task.key
