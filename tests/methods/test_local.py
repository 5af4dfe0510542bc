from __future__ import annotations

import json
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from synthetic import smooth_noise
from typer.testing import CliRunner

from lumirage_lib import methods
from lumirage_lib.cli import app
from lumirage_lib.cohorts.sources import fetch, is_local
from lumirage_lib.errors import InputError, SourceError, WeightsError
from lumirage_lib.images.preprocess import PairImages
from lumirage_lib.methods import MethodSpec, get_method, list_methods, missing, run_method
from lumirage_lib.methods.local import (
    add_weights,
    find_faults,
    find_local,
    remove_weights,
    user_folder,
)
from lumirage_lib.methods.networks import VFA, build, read_state

ABOUT = {"spacing_mm": "1.0", "grid": "16x16x16", "licence": "mine"}
OPTIONS = {"downsamples": 2, "start_channels": 2, "matching_channels": 2, "max_channels": 8}


pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture
def network() -> VFA:
    torch.manual_seed(0)
    return VFA(**OPTIONS).eval()


@pytest.fixture
def checkpoint(network, tmp_path):
    path = tmp_path / "theirs.pth"
    torch.save({"epoch": 7, "model_state": network.state_dict()}, path)
    return path


def make_pair(rng, shape=(16, 20, 16)) -> PairImages:
    images = [0.5 + 0.2 * smooth_noise(shape, 2, s) for s in rng.integers(99, size=2)]
    return PairImages(*images, np.eye(4), np.eye(4), np.eye(4))


def run(method: str, pair: PairImages) -> np.ndarray:
    spec = get_method(method)
    return run_method(spec, pair, {"weights": str(fetch(spec.weights))})


def test_added_weights_are_a_method_that_returns_what_the_network_returns(rng, network, checkpoint):
    local = add_weights("vfa", checkpoint, "vfa-lumir", ABOUT)
    spec = get_method("vfa-lumir")
    assert (spec.family, spec.weights, missing(spec)) == ("deep", local.source, None)
    assert (spec.input.grid, spec.input.multiple_of) == ((16, 16, 16), 4)
    assert spec.input.spacing_mm == 1.0
    assert "vfa-lumir" in [s.id for s in list_methods()]
    pair = make_pair(rng)
    with torch.inference_mode():
        images = [torch.from_numpy(a)[None, None] for a in (pair.fixed, pair.moving)]
        expected = network(*images)[0].numpy()
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(run("vfa-lumir", pair), expected, atol=1e-6)


@pytest.mark.golden
def test_added_official_state_gives_the_official_grid(golden, tmp_path):
    stored = np.load(golden / "vfa_official.npz")
    state = {k[6:]: torch.from_numpy(stored[k]) for k in stored if k.startswith("state/")}
    torch.save(state, tmp_path / "official.pth")
    shape = stored["fixed"].shape
    add_weights("vfa", tmp_path / "official.pth", "vfa-lumir", {**ABOUT, "grid": "16x16x16"})
    pair = PairImages(stored["fixed"], stored["moving"], np.eye(4), np.eye(4), np.eye(4))
    found = run("vfa-lumir", pair) + np.indices(shape)
    assert np.abs(found - stored["grid"]).max() <= 1e-4


def test_absent_weights_are_explained():
    assert "vfa-lumir" not in [s.id for s in list_methods()]
    with pytest.raises(InputError, match=r"'vfa-lumir' is not here: .*lumirage weights add vfa"):
        get_method("vfa-lumir")


def spoil_key(state):
    del state["decoder.beta"]
    return state, r"lacks decoder\.beta"


def spoil_shape(state):
    state["decoder.project.1.weight"] = torch.zeros(4, 9, 3, 3, 3)
    return state, r"decoder\.project\.1\.weight of VFA with shape \(4, 8, 3, 3, 3\), but .* \(4, 9"


def spoil_network(state):
    return build("symnet").state_dict(), "another network"


@pytest.mark.parametrize("spoil", [spoil_key, spoil_shape, spoil_network])
def test_state_that_does_not_fit_is_refused_and_nothing_kept(network, tmp_path, spoil):
    state, complaint = spoil(dict(network.state_dict()))
    torch.save(state, tmp_path / "a.pth")
    refuse(tmp_path / "a.pth", complaint)


def test_truncated_and_pickled_files_are_refused(network, checkpoint, tmp_path):
    (tmp_path / "cut.pth").write_bytes(checkpoint.read_bytes()[:3000])
    refuse(tmp_path / "cut.pth", "truncated or of another format")
    torch.save(network, tmp_path / "pickle.pth")
    refuse(tmp_path / "pickle.pth", "pickles the Python object")
    refuse(tmp_path / "absent.pth", "found no file")


def refuse(path, complaint: str) -> None:
    with pytest.raises(WeightsError, match=complaint) as caught:
        add_weights("vfa", path, "vfa-lumir", ABOUT)
    message = str(caught.value)
    assert "\n" not in message
    assert not re.findall(r"[.!?] +[A-Z]", message)
    assert "vfa-lumir" not in find_local()
    assert not list(user_folder().glob("*"))


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"start_channels": 8}, "start_channels 2, .* says 8"),
        ({"int_steps": 7}, "int_steps 0, .* says 7"),
        ({"affine": 1}, "affine 0, .* says 1"),
        ({"name": "Im2grid"}, "name 'VFA', .* says 'Im2grid'"),
    ],
)
def test_params_of_another_run_are_refused(checkpoint, tmp_path, changed, complaint):
    model = {"name": "VFA", "skip": 0, "initialize": 0.1, **OPTIONS, "int_steps": 0, "affine": 0}
    params = tmp_path / "params.json"
    params.write_text(json.dumps({"model": {**model, **changed}}))
    with pytest.raises(WeightsError, match=complaint):
        add_weights("vfa", checkpoint, "vfa-lumir", ABOUT, params)
    assert not find_local().keys() & {"vfa-lumir"}
    params.write_text(json.dumps({"model": model}))
    assert add_weights("vfa", checkpoint, "vfa-lumir", ABOUT, params).name == "vfa-lumir"


@pytest.mark.parametrize("content", ["{", "[]", '{"loss": {}}'])
def test_params_that_are_none_are_refused(checkpoint, tmp_path, content):
    (tmp_path / "params.json").write_text(content)
    with pytest.raises(WeightsError, match="expected a JSON file with a section model"):
        add_weights("vfa", checkpoint, "vfa-lumir", ABOUT, tmp_path / "params.json")


def test_names_and_networks_that_cannot_be_added(checkpoint):
    for name in ("Vfa", "../vfa", "", "vfa:x", "vfa+io"):
        with pytest.raises(InputError, match="small letters, digits and hyphens"):
            add_weights("vfa", checkpoint, name, ABOUT)
    with pytest.raises(InputError, match="a method greedy already; choose another name"):
        add_weights("vfa", checkpoint, "greedy", ABOUT, taken=methods.METHODS)
    with pytest.raises(InputError, match="expected weights of vfa or unigradicon, got 'symnet'"):
        add_weights("symnet", checkpoint, "mine", ABOUT)


def test_added_again_replaces_and_two_live_side_by_side(network, checkpoint, tmp_path):
    first = add_weights("vfa", checkpoint, "mine", ABOUT)
    add_weights("vfa", checkpoint, "other", ABOUT)
    network.decoder.beta.data.mul_(2)
    torch.save(network.state_dict(), tmp_path / "b.pth")
    second = add_weights("vfa", tmp_path / "b.pth", "mine", ABOUT)
    assert first.source.sha256 != second.source.sha256
    assert {"mine", "other"} <= find_local().keys()
    assert is_local(find_local()["other"].source)


def test_a_method_of_ones_own_may_not_go_by_the_name_of_added_weights(checkpoint, monkeypatch):
    own = MethodSpec("mine", "iterative", lambda *a: None, "0.1", "me2026")
    monkeypatch.setitem(sys.modules, "my_module", SimpleNamespace(METHOD=own))
    assert get_method("my_module:METHOD") is own
    get_method.cache_clear()
    add_weights("vfa", checkpoint, "mine", ABOUT)
    with pytest.raises(InputError, match=r"'my_module:METHOD' has the id 'mine' of a method"):
        get_method("my_module:METHOD")


def test_damage_is_noticed(checkpoint):
    local = add_weights("vfa", checkpoint, "mine", ABOUT)
    path = fetch(local.source)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "damaged; install or add them again" in missing(get_method("mine"))
    with pytest.raises(SourceError, match="add those weights, again"):
        fetch(local.source)
    path.unlink()
    assert "mine" not in find_local()
    assert "`lumirage weights add` it again" in find_faults()["mine"]


def test_command_adds_and_lists(checkpoint, tmp_path):
    runner = CliRunner()
    added = runner.invoke(app, ["weights", "add", "vfa", str(checkpoint), "--grid", "16x16x16"])
    assert added.exit_code == 0, added.output
    listed = runner.invoke(app, ["weights", "list"]).stdout
    assert f"MB, sha256 {find_local()['vfa-lumir'].source.sha256}" in listed
    assert "spacing_mm 1.0" in listed
    refused = runner.invoke(app, ["weights", "add", "vfa", str(checkpoint), "--name", "greedy"])
    assert refused.exit_code == 1
    assert "greedy" in refused.output
    assert runner.invoke(app, ["train", "symnet"]).exit_code == 1


# ---- faults at the door, and of one entry


@pytest.mark.parametrize(
    ("about", "complaint"),
    [
        ({"grid": "banana"}, r"grid 'banana': expected the three sides"),
        ({"grid": "16x16"}, r"grid '16x16'"),
        ({"grid": "16x16x16x16"}, "grid '16x16x16x16'"),
        ({"grid": "0x16x16"}, r"each 1 to 2048"),
        ({"grid": "-16x16x16"}, "grid '-16x16x16'"),
        ({"grid": "999999x16x16"}, "1 to 2048"),
        ({"spacing_mm": "nan"}, r"voxel size 'nan': expected millimetres"),
        ({"spacing_mm": "-1"}, "voxel size '-1'"),
        ({"spacing_mm": "0"}, "voxel size '0'"),
        ({"spacing_mm": "inf"}, "voxel size 'inf'"),
        ({"spacing_mm": "wide"}, "voxel size 'wide'"),
        ({"spacing_mm": "1e-9"}, "0.01 to 100"),
    ],
)
def test_geometry_that_is_none_is_refused_before_anything_is_kept(checkpoint, about, complaint):
    with pytest.raises(InputError, match=complaint):
        add_weights("vfa", checkpoint, "mine", {**ABOUT, **about})
    assert not list(user_folder().glob("*"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(network, tmp_path, value):
    network.decoder.project["1"].weight.data[0, 0, 0, 0, 0] = value
    torch.save(network.state_dict(), tmp_path / "a.pth")
    refuse(tmp_path / "a.pth", r"1 of the \d+ values of decoder\.project\.1\.weight in a\.pth")


def test_prefix_of_training_on_several_devices_is_taken_off(network, tmp_path):
    state = {f"module.{key}": value for key, value in network.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    torch.save({**state, "rest": torch.zeros(1)}, tmp_path / "b.pth")
    refuse(tmp_path / "b.pth", r"decoder\.project\.\*. is missing; is it the checkpoint of another")
    local = add_weights("vfa", tmp_path / "a.pth", "mine", ABOUT)
    assert read_state(fetch(local.source)).keys() == network.state_dict().keys()


def spoil_header(folder, **changed):
    """One entry whose bytes are pinned and whose header says something else."""
    state = read_state(folder / "mine.safetensors")
    header = {"network": "vfa", "multiple_of": "4", **ABOUT, **changed}
    save_file(state, folder / "mine.safetensors", header)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda folder: (folder / "mine.safetensors").unlink(), "No such file"),
        (lambda folder: (folder / "mine.safetensors").write_bytes(b""), "mine.safetensors, but"),
        (lambda folder: (folder / "mine.safetensors").write_bytes(b"\xff" * 99), "but"),
        (lambda folder: spoil_header(folder, grid="banana"), "grid 'banana'"),
        (lambda folder: spoil_header(folder, spacing_mm="nan"), "voxel size 'nan'"),
        (lambda folder: spoil_header(folder, multiple_of="0"), "multiple_of '0'"),
        (lambda folder: spoil_header(folder, network="resnet"), "names the network 'resnet'"),
    ],
)
def test_one_bad_entry_leaves_the_others_and_can_be_removed(checkpoint, spoil, complaint):
    add_weights("vfa", checkpoint, "mine", ABOUT)
    add_weights("vfa", checkpoint, "other", ABOUT)
    spoil(user_folder())
    assert {"vfa", "other"} <= {s.id for s in list_methods()}
    assert "mine" not in {s.id for s in list_methods()}
    assert complaint in find_faults()["mine"]
    assert "lumirage weights remove mine" in find_faults()["mine"]
    with pytest.raises(WeightsError, match=re.escape(complaint)):
        get_method("mine")
    runner = CliRunner()
    for command in ("methods", "weights list"):
        shown = runner.invoke(app, command.split())
        assert shown.exit_code == 0, shown.output
        assert complaint in shown.output.replace("\n", " ")
    remove_weights("mine")
    assert not find_faults()
    assert "other" in find_local()


@pytest.mark.parametrize("junk", [b"\xff\xfe\n", b"0" * 64 + b"  ../evil.safetensors\n", b"x\n\n"])
def test_lines_of_the_sums_that_are_none_are_passed_over(checkpoint, junk):
    add_weights("vfa", checkpoint, "mine", ABOUT)
    sums = user_folder() / "SHA256SUMS"
    sums.write_bytes(junk + sums.read_bytes())
    assert "mine" in find_local()
    assert not find_faults()


def test_adding_others_does_not_bless_a_damaged_file(checkpoint):
    local = add_weights("vfa", checkpoint, "mine", ABOUT)
    path = user_folder() / "mine.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    add_weights("vfa", checkpoint, "other", ABOUT)
    assert find_local()["mine"].source.sha256 == local.source.sha256
    assert "damaged" in missing(get_method("mine"))


def test_removed_weights_are_gone_and_shipped_ones_stay(checkpoint):
    add_weights("vfa", checkpoint, "mine", ABOUT)
    removed = CliRunner().invoke(app, ["weights", "remove", "mine"])
    assert removed.exit_code == 0, removed.output
    assert "mine" not in find_local()
    assert not (user_folder() / "mine.safetensors").exists()
    for name in ("mine", "vfa", "../vfa", "greedy"):
        with pytest.raises(InputError, match="no added weights"):
            remove_weights(name)
    assert "vfa" in find_local()


def test_shipped_weights_are_declared_as_their_header_says():
    for name in ("vfa",):
        spec, local = get_method(name), find_local()[name]
        assert (spec.input.grid, spec.input.spacing_mm) == (local.grid, local.spacing_mm)
        assert spec.input.multiple_of == local.multiple_of
        assert spec.weights == local.source
