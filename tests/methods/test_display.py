from __future__ import annotations

import subprocess
import sys
from itertools import combinations
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from lumirage_lib.cli import app
from lumirage_lib.errors import InputError
from lumirage_lib.methods import (
    METHODS,
    OWN,
    MethodSpec,
    colour_of,
    family_of,
    get_method,
    marker_of,
    name_of,
    order_of,
)

DEEP = [m for m in METHODS if family_of(m) == "deep"]


@pytest.fixture
def own(monkeypatch):
    """Two methods of a user's, without and with a name and a colour."""
    module = SimpleNamespace(
        PLAIN=MethodSpec("plain", "iterative", lambda *a: None, "1", "x"),
        SHOWN=MethodSpec(
            "shown", "deep", lambda *a: None, "1", "x", name="Shown", colour="#010203"
        ),
    )
    monkeypatch.setitem(sys.modules, "own_methods", module)
    yield
    OWN.clear()
    get_method.cache_clear()


def test_every_shipped_method_has_a_name_and_a_colour_of_its_own():
    assert len({name_of(m) for m in METHODS}) == len(METHODS)
    assert len({colour_of(m) for m in METHODS}) == len(METHODS)
    assert all(get_method(m).colour for m in METHODS)
    assert name_of("vfa") == "VFA (ours, 2 mm)"


def test_iterative_methods_are_warm_deep_ones_cold_and_the_baseline_grey():
    for method in METHODS:
        red, green, blue = bytes.fromhex(colour_of(method)[1:])
        family = family_of(method)
        if family == "baseline":
            assert red == green == blue
        else:
            assert (red > max(blue, green)) == (family == "iterative")


def test_modified_network_keeps_its_colour_and_differs_in_name_and_marker():
    for method in DEEP:
        forms = [method, f"{method}+io", f"{method}@grid", f"{method}+io@grid"]
        assert {colour_of(form) for form in forms} == {colour_of(method)}
        for a, b in combinations(forms, 2):
            assert name_of(a) != name_of(b)
            assert marker_of(a) != marker_of(b)
        assert name_of(f"{method}+io@grid") == name_of(f"{method}@grid+io")
        for form in forms:
            assert family_of(form) == "deep"


def test_order_is_by_family_then_as_registered_and_the_modified_follow():
    given = [
        "who:EVER",
        "vfa+io",
        "symnet",
        "clapirn@grid",
        "vfa",
        "syn",
        "greedy",
        "affine",
        "vfa",
    ]
    assert order_of(given) == [
        "affine", "syn", "greedy", "vfa", "vfa+io", "clapirn@grid", "symnet", "who:EVER",
    ]  # fmt: skip


def test_ones_own_method_is_shown_by_its_family(own):
    assert name_of("own_methods:PLAIN") == "plain"
    assert name_of("own_methods:SHOWN+io") == "Shown + IO"
    assert colour_of("own_methods:SHOWN+io") == "#010203"
    assert colour_of("own_methods:PLAIN") not in {colour_of(m) for m in METHODS}
    assert colour_of("own_methods:PLAIN") == "#FFAABB"  # the same on every machine
    assert marker_of("own_methods:PLAIN") == marker_of("greedy")
    assert (family_of("plain"), marker_of("plain")) == ("iterative", "o")  # as its rows call it
    assert order_of(["own_methods:SHOWN", "own_methods:PLAIN", "voxelmorph", "greedy"]) == [
        "greedy", "own_methods:PLAIN", "voxelmorph", "own_methods:SHOWN",
    ]  # fmt: skip


def test_method_that_is_not_here_is_shown_as_it_is_called():
    assert name_of("gone:METHOD+io") == "gone:METHOD + IO"
    assert colour_of("gone:METHOD").startswith("#")
    assert marker_of("gone:METHOD") == "X"
    with pytest.raises(InputError, match="gone"):
        family_of("gone:METHOD")


def test_finest_voxels_are_the_coarsest_of_what_is_given_and_what_it_works_at():
    assert get_method("greedy").find_finest_mm(0.6) == 0.6
    spec = MethodSpec("m", "deep", lambda *a: None, "1", "x", internal_mm=2.0)
    assert (spec.find_finest_mm(1.0), spec.find_finest_mm(3.0)) == (2.0, 3.0)
    spec = MethodSpec("m", "deep", lambda *a: None, "1", "x", internal_voxels=2)
    assert spec.find_finest_mm(0.6) == 1.2


def test_showing_methods_needs_no_network_library():
    code = (
        "import sys; from lumirage_lib.methods import METHODS, colour_of, name_of, order_of\n"
        "print(order_of(METHODS), [*map(name_of, METHODS)], [*map(colour_of, METHODS)])\n"
        "assert not {'torch', 'ants', 'SimpleITK', 'fireants'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_command_lists_what_networks_were_trained_on():
    shown = CliRunner().invoke(app, ["methods"]).output.replace("\n", " ")
    assert "lkunet was trained on 403 T1w scans of IXI" in shown
    assert "vfa was trained on 13 T1w scans of OASIS-1" in shown
