from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from synthetic import grid_affine, indices, smooth_field, smooth_noise, to_points

from lumirage_lib import methods
from lumirage_lib.errors import InputError, RegistrationError
from lumirage_lib.images.preprocess import PairImages
from lumirage_lib.images.volumes import Volume, reorient, reorient_array
from lumirage_lib.images.warp import reorient_displacement
from lumirage_lib.methods import (
    FAMILIES,
    InputSpec,
    MethodSpec,
    get_method,
    list_methods,
    missing,
    run_method,
)

SHAPE = (13, 16, 11)
CODES = ("RAS", "LAS", "LPS", "LIA", "PSR", "SAR")


# ---- the registry


def test_every_method_declares_what_it_is():
    specs = list_methods()
    assert [s.id for s in specs] == list(methods.METHODS)
    assert {s.family for s in specs} == set(FAMILIES)
    for spec in specs:
        assert spec.citation
        assert spec.version
        assert spec.timeout_seconds > 0
        assert spec.with_parameters({}) == dict(spec.parameters)
        assert (spec.weights is not None) == (spec.family == "deep")


def test_parameters_are_laid_over_the_defaults_and_unknown_ones_refused():
    syn = get_method("syn")
    assert syn.with_parameters({"iterations": [9]}) == {**syn.parameters, "iterations": [9]}
    assert syn.parameters["iterations"] == [40, 20, 0]
    with pytest.raises(InputError, match=r"syn: no parameter itertions; there are flow_sigma"):
        syn.with_parameters({"itertions": [9]})
    with pytest.raises(InputError, match="affine: no parameter x; there are none"):
        get_method("affine").with_parameters({"x": 1})


@pytest.mark.parametrize(
    ("method", "given", "complaint"),
    [
        ("greedy", {"metric": "FOO"}, r"metric='FOO': .* like 'NCC 2x2x2', of the form SSD"),
        ("greedy", {"metric": "NCC 2x2x2 -n 1"}, "metric="),
        ("greedy", {"iterations": "100x"}, "iterations="),
        ("greedy", {"gradient_sigma": "banana"}, "gradient_sigma="),
        ("syn", {"metric": "foo"}, "metric='foo'"),
        ("fireants-greedy", {"kernel": 4}, "kernel=4"),
        ("fireants-greedy", {"scales": [4, 2]}, r"scales=\[4, 2\] and iterations=.* one length"),
        ("fireants-greedy-mind", {"loss": "foo"}, "loss='foo'"),
        ("convexadam", {"grid": 0}, "grid=0"),
        ("clapirn+io", {"similarity": "foo"}, "similarity='foo'"),
    ],
)
def test_value_that_would_fail_later_or_be_taken_for_another_is_refused(method, given, complaint):
    """Greedy takes a metric that it does not know as the squared difference."""
    with pytest.raises(InputError, match=complaint):
        get_method(method).with_parameters(given)


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("greedy", {"metric": "WNCC 4x4x4", "warp_sigma": "0.5vox", "iterations": "100"}),
        ("greedy", {"metric": "NMI", "gradient_sigma": "2mm"}),
        ("fireants-greedy", {"scales": [4, 2], "iterations": [9, 9], "kernel": 11}),
    ],
)
def test_value_of_another_form_is_taken(method, given):
    assert get_method(method).with_parameters(given).items() >= given.items()


def test_method_that_cannot_be_called_with_what_it_declares_is_refused():
    with pytest.raises(InputError, match=r"mine: run cannot be called .* unexpected .*'vox'"):
        MethodSpec("mine", "iterative", lambda fixed, moving, affine: None, "1", "", {"vox": 1.0})


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("gredy", r"no method 'gredy'; there are affine, syn, .*greedy.*module:attribute"),
        ("no_such_module:METHOD", r"method 'no_such_module:METHOD': .*PYTHONPATH"),
        ("fakes:ABSENT", r"method 'fakes:ABSENT': .*PYTHONPATH"),
        ("fakes:NOT_A_METHOD", r"is a int, expected a MethodSpec"),
    ],
)
def test_method_that_is_none_is_refused(name, complaint):
    with pytest.raises(InputError, match=complaint):
        get_method(name)


@pytest.mark.usefixtures("own_folder")
def test_method_of_ones_own_is_found_by_module_and_attribute(monkeypatch):
    own = MethodSpec("mine", "deep", lambda *a: None, "0.1", "me2026")
    monkeypatch.setitem(sys.modules, "my_module", SimpleNamespace(METHOD=own))
    assert get_method("my_module:METHOD") is own
    assert get_method("mine") is own


def test_method_of_ones_own_may_not_go_by_the_id_of_another(monkeypatch):
    taken = MethodSpec("greedy", "iterative", lambda *a: None, "0.1", "me2026")
    monkeypatch.setitem(sys.modules, "my_module", SimpleNamespace(METHOD=taken))
    with pytest.raises(InputError, match=r"'my_module:METHOD' has the id 'greedy' of a method"):
        get_method("my_module:METHOD")


def test_family_is_one_of_three():
    with pytest.raises(InputError, match=r"mine: family 'magic' is none of baseline, iterative"):
        MethodSpec("mine", "magic", lambda *a: None, "0.1", "me2026")


def test_what_is_missing_is_said(monkeypatch, tmp_path):
    assert missing(get_method("greedy")) is None
    monkeypatch.setattr(methods.util, "find_spec", lambda name: None)
    assert missing(get_method("greedy")) == "the Python package picsl_greedy is not installed"
    monkeypatch.undo()
    monkeypatch.setenv("LUMIRAGE_MIRROR", str(tmp_path))
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path / "cache"))
    reason = missing(get_method("clapirn"))
    assert reason.startswith("its weights cwmok/Conditional_LapIRN/")
    assert "lumirage data fetch cwmok/Conditional_LapIRN" in reason


# ---- one way of calling: what a method gets, and what becomes of what it returns


def make_pair(shape=SHAPE, affine=None) -> PairImages:
    images = [np.abs(smooth_noise(shape, 1, s)) + 0.1 for s in (1, 2)]
    affine = grid_affine("oblique RAS") if affine is None else affine
    return PairImages(*images, affine, np.eye(4), np.eye(4))


def recorder(result=None, **spec) -> tuple[MethodSpec, dict]:
    """A method that notes what it got and returns what `result` makes of it."""
    got: dict = {}

    def run(fixed, moving, affine, **parameters):
        got.update(fixed=fixed, moving=moving, affine=affine, parameters=parameters)
        return np.zeros((3, *fixed.shape), np.float32) if result is None else result(fixed)

    return MethodSpec("recorder", "deep", run, "1", "x", input=InputSpec(**spec)), got


@pytest.mark.parametrize("codes", CODES)
def test_method_gets_its_orientation_and_a_true_affine(codes):
    pair = make_pair()
    spec, got = recorder(orientation=codes)
    run_method(spec, pair, {"step": 3})
    for name in ("fixed", "moving"):
        image = reorient(Volume(getattr(pair, name), pair.affine), codes)
        assert_array_equal(got[name], image.data)
        assert got[name].dtype == np.float32
        assert got[name].flags.c_contiguous
        assert_allclose(got["affine"], image.affine, atol=1e-9)
    assert got["parameters"] == {"step": 3}


@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize(
    ("grid", "multiple_of"), [(None, 1), (None, 8), ((20, 30, 24), 1), ((12, 40, 15), 16)]
)
def test_field_returned_in_the_methods_space_is_undone_exactly(codes, grid, multiple_of):
    """The method returns a known field of its own array, padded; back comes ours, untouched."""
    pair = make_pair()
    ours = smooth_field(SHAPE, 2.0, 7)
    place = {}

    def result(fixed):
        # Where the working grid lies in what the method sees is told by the affine alone.
        inner = reorient(Volume(np.zeros(SHAPE), pair.affine), codes)
        start = np.linalg.inv(got["affine"]) @ inner.affine @ [0, 0, 0, 1]
        start = np.rint(start[:3]).astype(int)
        place["box"] = tuple(slice(a, a + n) for a, n in zip(start, inner.shape, strict=True))
        field = np.full((3, *fixed.shape), 99.0)
        field[(slice(None), *place["box"])] = reorient_displacement(ours, "RAS", codes)
        return field

    spec, got = recorder(result, orientation=codes, grid=grid, multiple_of=multiple_of)
    back = run_method(spec, pair, {})
    assert_array_equal(back, ours)
    assert back.dtype == np.float32
    shape = np.array(got["fixed"].shape)
    assert (shape % multiple_of == 0).all()
    inner = np.array(reorient_array(pair.fixed, "RAS", codes).shape)
    least = np.maximum(inner, grid or 0)
    assert (shape >= least).all()
    assert (shape - least < multiple_of).all()
    # The images lie in the same box, in air.
    for name in ("fixed", "moving"):
        inside = got[name][place["box"]]
        assert_array_equal(inside, reorient_array(getattr(pair, name), "RAS", codes))
        assert got[name].sum(dtype=float) == pytest.approx(inside.sum(dtype=float))
    # And centred: as much air before as after, within a voxel.
    before = np.array([s.start for s in place["box"]])
    assert (np.abs(shape - inner - 2 * before) <= 1).all()


def test_affine_of_the_padded_grid_keeps_every_voxel_in_the_world():
    pair = make_pair()
    spec, got = recorder(orientation="LIA", grid=(20, 30, 24))
    run_method(spec, pair, {})
    world = to_points(got["affine"], indices(got["fixed"].shape))
    there = np.rint(to_points(np.linalg.inv(pair.affine), world)).astype(int)
    inside = ((there >= 0) & (there < np.reshape(SHAPE, (3, 1)))).all(axis=0)
    assert_array_equal(got["fixed"].ravel()[inside], pair.fixed[tuple(there[:, inside])])
    assert inside.sum() == np.prod(SHAPE)


def test_intensities_are_those_the_method_declares():
    pair = make_pair()
    spec, got = recorder()
    run_method(spec, pair, {})
    assert_array_equal(got["fixed"], pair.fixed)
    spec, got = recorder(intensity="minmax")
    run_method(spec, pair, {})
    assert (got["moving"].min(), got["moving"].max()) == (0, 1)
    spec, got = recorder(intensity=0.425, grid=(30, 30, 30))
    run_method(spec, pair, {})
    for name in ("fixed", "moving"):
        assert np.percentile(got[name][got[name] > 0], 99) == pytest.approx(0.425, rel=1e-5)
        inside, given = got[name][got[name] > 0], getattr(pair, name).ravel()
        assert np.corrcoef(np.sort(inside), np.sort(given))[0, 1] == pytest.approx(1)
        assert got[name].dtype == np.float32


@pytest.mark.parametrize("intensity", ["as given", "minmax", 0.4])
def test_constant_image_is_refused(intensity):
    pair = make_pair()
    pair.moving[:] = 0.5
    with pytest.raises(InputError, match="the image is constant"):
        run_method(recorder(intensity=intensity)[0], pair, {})


@pytest.mark.parametrize(
    ("result", "status", "reason"),
    [
        (lambda f: np.zeros(f.shape), "failed", r"recorder: returned shape \(13, 16, 11\)"),
        (lambda f: np.zeros((*f.shape, 3)), "failed", r"expected \(3, 13, 16, 11\)"),
        (
            lambda f: np.full((3, *f.shape), np.nan),
            "non-finite",
            "6864 values of the field are NaN",
        ),
        (lambda f: np.full((3, *f.shape), np.inf), "non-finite", "or infinite"),
    ],
)
def test_result_that_is_no_displacement_is_a_failed_registration(result, status, reason):
    with pytest.raises(RegistrationError, match=reason) as failure:
        run_method(recorder(result)[0], make_pair(), {})
    assert failure.value.status == status


def test_affine_baseline_moves_nothing():
    spec, pair = get_method("affine"), make_pair()
    assert_array_equal(run_method(spec, pair, spec.with_parameters({})), np.zeros((3, *SHAPE)))
