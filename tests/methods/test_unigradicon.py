from __future__ import annotations

from importlib import util

import numpy as np
import pytest
import torch
from synthetic import smooth_noise
from typer.testing import CliRunner

from lumirage_lib import methods
from lumirage_lib.cli import app
from lumirage_lib.cohorts import get_cohort
from lumirage_lib.cohorts.sources import fetch
from lumirage_lib.errors import InputError, WeightsError
from lumirage_lib.images.preprocess import PairImages
from lumirage_lib.images.warp import warp_image
from lumirage_lib.methods import (
    MethodSpec,
    get_method,
    judge_exposure,
    list_methods,
    missing,
    run_method,
)
from lumirage_lib.methods.deep import unigradicon
from lumirage_lib.methods.local import add_weights, find_faults, find_local, user_folder
from lumirage_lib.methods.networks import read_state
from lumirage_lib.methods.networks import unigradicon as tensors

SHAPE = (30, 22, 26)
SPACING = (1.0, 1.5, 0.7)
ABOUT = {"licence": "mine"}


pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture
def small(monkeypatch):
    """Its U-Nets with few channels: the names of 152 tensors, at a thousandth of the bytes."""
    monkeypatch.setattr(tensors, "DOWN", (2, 2, 2, 2, 4, 4))
    monkeypatch.setattr(tensors, "UP", (2, 2, 2, 2, 4))


@pytest.fixture
def checkpoint(small, tmp_path):
    return save(make_state(), tmp_path / "Step_2_final.trch")


def make_state() -> dict[str, torch.Tensor]:
    shapes = tensors.UniGradICON().state_dict()
    return {key: torch.ones(value.shape, dtype=value.dtype) for key, value in shapes.items()}


def save(state, path):
    torch.save(state, path)
    return path


def make_pair(seed: int = 0, shape=SHAPE) -> PairImages:
    images = [100 + 80 * smooth_noise(shape, 2, seed + s) for s in (1, 2)]
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = (-11, 7, 23)
    return PairImages(*(i.astype(np.float32) for i in images), affine, np.eye(4), np.eye(4))


def run(spec, pair: PairImages, weights: str) -> np.ndarray:
    return run_method(spec, pair, {"weights": weights})


# ---- weights


def test_added_weights_are_a_method(checkpoint):
    local = add_weights("unigradicon", checkpoint, "unigradicon", ABOUT)
    assert (local.network, local.grid, local.spacing_mm) == ("unigradicon", None, None)
    assert local.about["network"] == "unigradicon"
    spec = get_method("unigradicon")
    assert (spec.family, spec.package, spec.weights) == ("deep", "unigradicon", local.source)
    assert spec in list_methods()
    kept = read_state(fetch(local.source))
    state = read_state(checkpoint)
    assert kept.keys() == state.keys()
    assert all(torch.equal(kept[key], state[key]) for key in state)


def test_package_that_is_missing_is_named(checkpoint, monkeypatch):
    add_weights("unigradicon", checkpoint, "unigradicon", ABOUT)
    monkeypatch.setattr(methods.util, "find_spec", lambda name: None)
    assert "package unigradicon is not installed" in missing(get_method("unigradicon"))


def test_absent_weights_are_explained_in_two_steps():
    with pytest.raises(
        InputError,
        match=r"'unigradicon' is not here: `pip install .*unigradicon`.* `lumirage weights add unig",
    ):
        get_method("unigradicon")
    shown = CliRunner().invoke(app, ["methods"]).output.replace("\n", " ")
    assert "lumirage weights add unigradicon PATH" in shown


def test_command_has_its_own_name_and_no_geometry(checkpoint):
    command = ["weights", "add", "unigradicon", str(checkpoint)]
    for option in (["--grid", "16x16x16"], ["--spacing-mm", "1.0"], ["--params", "p.json"]):
        refused = CliRunner().invoke(app, [*command, *option])
        assert refused.exit_code == 1
        assert "leave out --grid" in refused.output.replace("\n", " ")
    added = CliRunner().invoke(app, command)
    assert added.exit_code == 0, added.output
    assert "unigradicon" in find_local()
    assert not find_faults()


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda state: state.pop("netPsi.net.lastConv.bias"), r"lacks netPsi\.net\.lastConv\.bias"),
        (
            lambda state: state.update({"netPsi.net.lastConv.bias": torch.zeros(2)}),
            r"netPsi\.net\.lastConv\.bias of UniGradICON with shape \(3,\), but .* \(2,\)",
        ),
        (lambda state: state.update(more=torch.zeros(1)), "has the unexpected more"),
        (
            lambda state: state["netPsi.net.lastConv.bias"].fill_(float("nan")),
            r"3 of the 3 values of netPsi\.net\.lastConv\.bias",
        ),
    ],
)
def test_files_of_other_networks_are_refused_and_nothing_kept(small, tmp_path, spoil, complaint):
    state = make_state()
    spoil(state)
    with pytest.raises(WeightsError, match=complaint):
        add_weights("unigradicon", save(state, tmp_path / "a.trch"), "unigradicon", ABOUT)
    assert "unigradicon" not in find_local()
    assert not list(user_folder().glob("*"))


def test_what_it_has_seen_is_known_of_the_published_weights_alone(checkpoint):
    for name in ("unigradicon", "fine-tuned"):
        add_weights("unigradicon", checkpoint, name, ABOUT)
    for cohort in ("oasis", "ixi2", "openms"):
        assert judge_exposure("unigradicon", get_cohort(cohort)).word == "not seen"
        assert judge_exposure("fine-tuned", get_cohort(cohort)).word == "unknown"


# ---- what it is given, and what its field means


class Known(torch.nn.Module):
    """As the authors' network: a function from points of the fixed image to the moving one."""

    def __init__(self, shift=(0.0, 0.0, 0.0), side=20):
        super().__init__()
        axes = [torch.linspace(0, 1, side)] * 3
        self.register_buffer(
            "identity_map", torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]
        )
        self.shift = torch.tensor(shift).view(1, 3, 1, 1, 1)

    def forward(self, moving, fixed):
        self.given = moving, fixed
        return lambda points: points + self.shift


def make_spec() -> MethodSpec:
    return MethodSpec("u", "deep", unigradicon.run_unigradicon, "1", "x", {"weights": ""})


@pytest.mark.parametrize(("axis", "voxels"), [(0, 3), (1, -2), (2, 4)])
def test_shift_of_the_unit_cube_is_voxels_of_the_grid(monkeypatch, axis, voxels):
    """A point of the cube is a centre of 20 voxels, which span the image's own from edge to edge."""
    shift = np.zeros(3)
    shift[2 - axis] = voxels * 20 / SHAPE[axis] / 19  # z, y, x
    network = Known(shift.astype(np.float32).tolist())
    monkeypatch.setattr(unigradicon, "load_network", lambda weights: network)
    found = run(make_spec(), make_pair(), "")
    expected = np.zeros(3)
    expected[axis] = voxels
    np.testing.assert_allclose(found.mean((1, 2, 3)), expected, atol=1e-4)
    assert np.ptp(found, (1, 2, 3)).max() < 1e-4


def test_images_are_scaled_turned_and_given_moving_first(monkeypatch):
    network = Known()
    monkeypatch.setattr(unigradicon, "load_network", lambda weights: network)
    pair = make_pair(shape=(20, 20, 20))  # the network's own, so that resizing changes nothing
    run(make_spec(), pair, "")
    for given, image in zip(network.given, (pair.moving, pair.fixed), strict=True):
        high = np.sort(image.ravel())[int(0.99 * image.size) - 1]
        expected = (np.clip(image, None, high) - image.min()) / (high - image.min())
        np.testing.assert_allclose(given[0, 0].numpy(), expected.transpose(2, 1, 0), atol=1e-5)


def test_image_that_is_almost_all_air_is_refused():
    image = np.zeros(SHAPE, np.float32)
    image[3, 3, 3] = 1
    with pytest.raises(InputError, match="crop the air around the brain"):
        unigradicon.scale(image)


# ---- against the authors' package, where it is installed


@pytest.fixture
def package(monkeypatch):
    reason = "the package unigradicon is not installed"
    if util.find_spec("unigradicon") is None:
        pytest.skip(reason)
    return pytest.importorskip("unigradicon", reason=reason)


def test_names_and_shapes_are_those_of_the_package(package):
    theirs = package.make_network(package.input_shape, include_last_step=True).regis_net
    expected = {key: (value.shape, value.dtype) for key, value in theirs.state_dict().items()}
    ours = tensors.UniGradICON().state_dict()
    assert {key: (value.shape, value.dtype) for key, value in ours.items()} == expected


@pytest.mark.parametrize(("axis", "voxels"), [(0, 3), (1, -2), (2, 4)])
def test_known_shift_is_what_the_package_makes_of_it(package, monkeypatch, axis, voxels):
    """Its own registration of images moved along one axis, whose network is replaced by the truth."""
    import icon_registration as icon

    class Shift(torch.nn.Module):
        def forward(self, moving, fixed):
            found = torch.zeros(1, 3, *moving.shape[2:])
            side = moving.shape[2]
            found[:, 2 - axis] = voxels * side / SHAPE[axis] / (side - 1)
            return found

    net = package.make_network([1, 1, 20, 20, 20], include_last_step=True)
    net.regis_net = icon.FunctionFromVectorField(Shift())
    net.assign_identity_map([1, 1, 20, 20, 20])
    monkeypatch.setattr(unigradicon, "load_network", lambda weights: net.regis_net)
    pair = make_pair()
    pair.fixed[:] = np.roll(pair.moving, -voxels, axis)
    found = run(make_spec(), pair, "")
    np.testing.assert_allclose(found, theirs(net, package, pair), atol=1e-3)
    inside = tuple(slice(5, -5) for _ in SHAPE)
    assert np.abs(warp_image(pair.moving, found) - pair.fixed)[inside].max() < 0.01


@pytest.mark.slow
def test_random_weights_give_the_field_of_the_package(package, monkeypatch, tmp_path):
    monkeypatch.setattr(package, "input_shape", [1, 1, 80, 80, 80])
    torch.manual_seed(0)
    net = package.make_network(package.input_shape, include_last_step=True)
    for key, value in net.regis_net.named_parameters():
        if "lastConv" in key:
            torch.nn.init.normal_(value, std=0.1)
    path = save(net.regis_net.state_dict(), tmp_path / "Step_2_final.trch")
    local = add_weights("unigradicon", path, "unigradicon", ABOUT)
    pair = make_pair()
    found = run(get_method("unigradicon"), pair, str(fetch(local.source)))
    expected = theirs(package.get_unigradicon(weights_location=str(path)), package, pair)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(found, expected, atol=1e-3)


def theirs(net, package, pair: PairImages) -> np.ndarray:
    """The package's registration as a displacement in voxels of the fixed image, at every voxel."""
    import itk
    from icon_registration.itk_wrapper import register_pair

    to_lps = np.diag([-1.0, -1.0, 1.0])
    images = []
    for array in (pair.moving, pair.fixed):
        image = itk.image_from_array(np.ascontiguousarray(array.T))
        image.SetSpacing(SPACING)
        image.SetDirection(itk.matrix_from_array(to_lps))
        image.SetOrigin(to_lps @ pair.affine[:3, 3])
        images.append(image)
    transform, _ = register_pair(net, *(package.preprocess(i, "mri") for i in images))
    found = np.zeros((3, *pair.fixed.shape))
    for index in np.ndindex(pair.fixed.shape):
        point = images[1].TransformIndexToPhysicalPoint(tuple(map(int, index)))
        there = images[0].TransformPhysicalPointToContinuousIndex(transform.TransformPoint(point))
        found[(slice(None), *index)] = np.array(there) - index
    return found
