"""Signals against their limits, tissues in the order every textbook has, the same seed the same image."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from contrasts import measure_contrast
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage
from synthetic import smooth_noise

from lumirage_lib.cohorts import Cohort, Pair, Scan, get_cohort
from lumirage_lib.errors import InputError
from lumirage_lib.images import contrast
from lumirage_lib.images.contrast import RELAXATION, Relaxation, make_rng
from lumirage_lib.images.volumes import Volume
from lumirage_lib.runs.task import Task

# The package exports a function under the module's own name.
synthetic = importlib.import_module("lumirage_lib.cohorts.synthetic")

ORDER = {  # brightest first
    "T1w": ("white matter", "grey matter", "CSF"),
    "T2w": ("CSF", "grey matter", "white matter"),
    "T2*w": ("CSF", "grey matter", "white matter"),
    "FLAIR": ("grey matter", "white matter", "CSF"),
}


def make_anatomy(shape=(36, 40, 32), seed: int = 1) -> tuple[Volume, Volume]:
    """Ventricle in white matter in a grey shell, with texture; nothing symmetric."""
    where = np.indices(shape) - np.array(shape).reshape(3, 1, 1, 1) * 0.48
    radius = np.sqrt(((where / (0.42 * np.array(shape).reshape(3, 1, 1, 1))) ** 2).sum(axis=0))
    radius += 0.04 * smooth_noise(shape, 3, seed)
    tissues = np.select([radius < 0.3, radius < 0.7, radius < 1.0], [1, 3, 2], 0).astype(np.int32)
    mean = np.array([0, 200.0, 600.0, 900.0])[tissues]
    image = mean * (1 + 0.04 * smooth_noise(shape, 1, seed + 1)) * (tissues > 0)
    return Volume(image.astype(np.float32), np.eye(4)), Volume(tissues, np.eye(4))


# ---- equations


@pytest.mark.parametrize("field_t", RELAXATION)
@pytest.mark.parametrize("name", ORDER)
def test_tissues_are_in_the_known_order(name, field_t):
    signals = contrast.compute_signals(name, field_t)
    order = [contrast.TISSUES[i] for i in np.argsort(-signals)]
    assert tuple(order) == ORDER[name]
    assert signals.max() == 1


TISSUE = RELAXATION[3.0]


def test_mprage_with_a_vanishing_flip_is_inversion_recovery():
    tiny = 1e-4
    signal = contrast.compute_mprage(TISSUE, te_ms=0, flip_deg=tiny) / np.sin(np.deg2rad(tiny))
    recovery = 1 - 2 * np.exp(-900 / TISSUE.t1_ms) / (1 + np.exp(-2300 / TISSUE.t1_ms))
    assert_allclose(signal, TISSUE.density * np.abs(recovery), rtol=1e-6)


def test_mprage_train_reaches_the_steady_state_of_the_gradient_echo():
    """Hundreds of pulses forget the inversion; the echo spacing is then the TR of an FLASH."""
    many = {"n_echoes": 4000, "ti_ms": 14000, "tr_ms": 28000}
    found = contrast.compute_mprage(TISSUE, te_ms=3, flip_deg=9, echo_spacing_ms=7, **many)
    assert_allclose(found, contrast.compute_gre(TISSUE, tr_ms=7, te_ms=3, flip_deg=9), rtol=1e-6)


def test_long_waits_leave_only_the_density():
    for signal in (
        contrast.compute_tse(TISSUE, tr_ms=1e6, te_ms=0),
        contrast.compute_gre(TISSUE, tr_ms=1e6, te_ms=0, flip_deg=90),
        contrast.compute_flair(TISSUE, tr_ms=1e6, ti_ms=5e5, te_ms=0),
    ):
        assert_allclose(signal, TISSUE.density)


def test_gradient_echo_is_brightest_at_the_ernst_angle():
    ernst = np.rad2deg(np.arccos(np.exp(-700 / TISSUE.t1_ms[1])))
    grey = [contrast.compute_gre(TISSUE, flip_deg=ernst + d)[1] for d in (-3, 0, 3)]
    assert grey[1] > max(grey[0], grey[2])


def test_flair_nulls_csf_and_nothing_else():
    csf, grey, white = contrast.compute_flair(TISSUE)
    assert csf < 1e-12 < 0.05 < min(grey, white)
    assert contrast.compute_null_ms(1000.0, 1e9) == pytest.approx(1000 * np.log(2))


def test_decay_is_the_time_constant_of_its_sequence():
    shorter = Relaxation(TISSUE.t1_ms, TISSUE.t2_ms / 2, TISSUE.t2star_ms, TISSUE.density)
    ratio = contrast.compute_tse(shorter, te_ms=80) / contrast.compute_tse(TISSUE, te_ms=80)
    assert_allclose(ratio, np.exp(-80 / TISSUE.t2_ms))
    assert_array_equal(contrast.compute_gre(shorter), contrast.compute_gre(TISSUE))  # T2*, not T2


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: contrast.compute_signals("T3w"), "expected one of T1w, T2w"),
        (lambda: contrast.compute_signals("T2w", 7.0), r"known at 1\.5 or 3 T"),
        (lambda: contrast.compute_mprage(TISSUE, n_echoes=400), "do not fit around TI 900"),
    ],
)
def test_what_is_not_known_is_refused(call, complaint):
    with pytest.raises(InputError, match=complaint):
        call()


# ---- images


def test_fractions_sum_to_one_are_sharp_inside_and_shared_at_a_border():
    image, tissues = make_anatomy()
    inside = tissues.data > 0
    for texture in (0.5, 0.0):
        fractions = contrast.compute_fractions(image.data, tissues.data, (1, 1, 1), texture=texture)
        assert_allclose(fractions.sum(axis=0), inside, atol=1e-5)
        assert -0.5 * contrast.EXCESS <= fractions.min() <= 0
        own = np.take_along_axis(fractions, np.maximum(tissues.data - 1, 0)[None], axis=0)[0]
        assert own[inside].mean() > 0.85
    assert 0.1 < (own[inside] < 0.9).mean() < 0.5  # without texture, only borders are shared


@pytest.mark.parametrize("name", ORDER)
def test_synthesised_image_shows_tissues_in_order_and_air_as_zero(name):
    t1, tissues = make_anatomy()
    image = contrast.synthesise(t1, tissues, name, rng=make_rng(0, "a", name))
    table = measure_contrast(image.data, tissues.data).set_index("tissue")
    assert tuple(table["rank"].sort_values().index) == ORDER[name]
    assert_array_equal(image.data > 0, tissues.data > 0)
    assert image.data.dtype == np.float32


def test_texture_of_the_real_image_is_carried_over_with_its_sign():
    t1, tissues = make_anatomy()
    still = {"bias": 0.0, "noise": 0.0}
    white, grey = (ndimage.binary_erosion(tissues.data == t, iterations=2) for t in (3, 2))
    for name, sign in (("T2w", -1), ("T1w", 1)):
        image = contrast.synthesise(t1, tissues, name, rng=make_rng(0, "a"), **still).data
        for region in (white, grey):
            assert sign * np.corrcoef(image[region], t1.data[region])[0, 1] > 0.9
        flat = contrast.synthesise(t1, tissues, name, rng=make_rng(0, "a"), texture=0.0, **still)
        assert flat.data[white].std() < image[white].std()


def test_dose_leads_from_the_real_image_to_the_contrast():
    t1, tissues = make_anatomy()
    still = {"bias": 0.0, "noise": 0.0}
    images = [
        contrast.synthesise(t1, tissues, "T2w", rng=make_rng(0, "a"), dose=d, **still).data
        for d in (0.0, 0.25, 1.0)
    ]
    inside = tissues.data > 0
    assert np.corrcoef(images[0][inside], t1.data[inside])[0, 1] > 0.999
    assert_allclose(images[1], 0.75 * images[0] + 0.25 * images[2], atol=1e-5)
    inverted = contrast.synthesise(t1, tissues, contrast.INVERTED, rng=make_rng(0, "a"), **still)
    assert np.corrcoef(inverted.data[inside], t1.data[inside])[0, 1] < -0.999
    with pytest.raises(InputError, match=r"dose=1\.5: expected 0 \(T1w\) to 1 \(T2w\)"):
        contrast.synthesise(t1, tissues, "T2w", rng=make_rng(0, "a"), dose=1.5)


def test_noise_is_rician_and_the_bias_field_smooth():
    signal = np.full((40, 40, 40), 0.5, np.float32)
    signal[:20] = 1e-6  # almost no signal: Rayleigh, mean sigma sqrt(pi / 2)
    noisy = contrast.degrade(signal, make_rng(0), spacing_mm=(1, 1, 1), bias=0.0, noise=0.05)
    assert noisy[:20].mean() == pytest.approx(0.05 * np.sqrt(np.pi / 2), rel=0.02)
    assert noisy[20:].std() == pytest.approx(0.05, rel=0.02)
    field = np.log(contrast.degrade(np.ones((40,) * 3), make_rng(0), spacing_mm=(2,) * 3, noise=0))
    assert field.std() == pytest.approx(0.05, rel=1e-3)
    assert np.abs(np.diff(field, axis=0)).max() < 0.03


def test_same_seed_same_image_and_another_scan_or_contrast_other_noise():
    t1, tissues = make_anatomy()

    def image(*names):
        return contrast.synthesise(t1, tissues, "T2w", rng=make_rng(*names)).data

    assert_array_equal(image(3, "1003", "T2w"), image(3, "1003", "T2w"))
    for other in ((4, "1003", "T2w"), (3, "1004", "T2w"), (3, "1003", "FLAIR")):
        assert not np.array_equal(image(3, "1003", "T2w"), image(*other))


def test_image_that_is_no_t1w_is_refused():
    t1, tissues = make_anatomy()
    negative = Volume(1000 - t1.data, t1.affine)
    with pytest.raises(InputError, match="expected them to rise, as in a T1w image"):
        contrast.compute_fractions(negative.data, tissues.data, (1, 1, 1))


# ---- the cohort


def make_base(**options) -> Cohort:
    scans = tuple(Scan(str(i), f"S{i}") for i in (1, 2))
    return Cohort(
        "tiny",
        scans,
        lambda scan: make_anatomy(seed=int(scan.id))[0],
        lambda scan, label_set: make_anatomy(seed=int(scan.id))[1],
        {"manual": None, "tissues": None},
        lambda scan: f"tiny-{scan.id}",
    )


def test_synthetic_cohort_changes_the_image_alone(monkeypatch):
    monkeypatch.setitem(synthetic.ANATOMIES, "tiny", make_base)
    base, cohort = make_base(), synthetic.synthetic(anatomy="tiny", contrast="T2w")
    scan = cohort.scans[0]
    tissues = base.load_labels(scan, "tissues").data
    assert_array_equal(cohort.load_labels(scan, "manual").data, tissues)
    table = measure_contrast(cohort.load_image(scan).data, tissues)
    assert table["median"].is_monotonic_decreasing
    assert_array_equal(cohort.aligned_by.load_image(scan).data, base.load_image(scan).data)


def test_real_and_synthesised_contrast_share_their_affine():
    scan, other = get_cohort("oasis").scans[:2]
    real = Task("oasis", (), Pair(scan, other), "affine")
    new = Task("synthetic", (("contrast", "FLAIR"),), Pair(scan, other), "affine")
    assert new.key != real.key
    assert new.alignment_key == real.alignment_key


def test_fingerprints_tell_contrast_dose_field_and_seed_apart():
    variants = ({}, {"contrast": "FLAIR"}, {"dose": 0.5}, {"field_t": 1.5}, {"noise_seed": 1})
    cohorts = [get_cohort("synthetic", **options) for options in variants]
    assert len({c.fingerprint(c.scans[0]) for c in cohorts}) == len(variants)
    with pytest.raises(InputError, match="expected one of oasis, template"):
        get_cohort("synthetic", anatomy="openms")


@pytest.mark.mirror
def test_oasis_in_another_contrast_keeps_its_brain():
    cohort = get_cohort("synthetic", contrast="FLAIR")
    scan = cohort.scan("1000")
    image, real = cohort.load_image(scan), cohort.aligned_by.load_image(scan)
    assert_array_equal(image.data > 0, real.data > 0)
    tissues = cohort.load_labels(scan, "tissues").data
    table = measure_contrast(image.data, tissues).set_index("tissue")
    assert tuple(table["rank"].sort_values().index) == ORDER["FLAIR"]
