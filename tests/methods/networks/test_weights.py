from __future__ import annotations

import os
import pickle
import re

import pytest
import torch
from helpers import find_checkpoint
from safetensors.torch import save_file
from torch import nn

from lumirage_lib.errors import InputError, WeightsError
from lumirage_lib.methods.deep import PUBLISHED
from lumirage_lib.methods.networks import build, load_weights, required_multiple


@pytest.fixture
def module() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


def refuse(module, path, expected: str) -> None:
    """It raises one sentence that matches, and leaves the module as it was."""
    before = {key: value.clone() for key, value in module.state_dict().items()}
    with pytest.raises(WeightsError, match=expected) as caught:
        load_weights(module, path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(re.findall(r"[.!?] +[A-Z]", message)) == 0
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_what_was_saved_is_loaded(module, tmp_path, suffix):
    state = {key: torch.randn_like(value) for key, value in module.state_dict().items()}
    path = tmp_path / f"weights{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    load_weights(module, path)
    assert all(torch.equal(module.state_dict()[key], state[key]) for key in state)


def test_state_inside_a_training_checkpoint_is_found(module, tmp_path):
    state = {key: torch.randn_like(value) for key, value in module.state_dict().items()}
    torch.save({"epoch": 3, "model": state, "optimizer": {"state": {}}}, tmp_path / "a.pth")
    load_weights(module, tmp_path / "a.pth")
    assert torch.equal(module[0].weight, state["0.weight"])


def test_missing_key(module, tmp_path):
    state = module.state_dict()
    del state["1.bias"]
    torch.save(state, tmp_path / "a.pth")
    refuse(module, tmp_path / "a.pth", r"a\.pth lacks 1\.bias; is it")


def test_unexpected_key(module, tmp_path):
    torch.save({**module.state_dict(), "grid": torch.zeros(1)}, tmp_path / "a.pth")
    refuse(module, tmp_path / "a.pth", "has the unexpected grid;")


def test_wrong_shape(module, tmp_path):
    torch.save({**module.state_dict(), "0.bias": torch.zeros(4)}, tmp_path / "a.pth")
    refuse(module, tmp_path / "a.pth", r"0\.bias .* shape \(3,\), but a\.pth has \(4,\)")


class Call:
    """What a hostile pickle does on loading: call a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def save_raw(content, path, protocol):
    path.write_bytes(pickle.dumps(content, protocol=protocol))


@pytest.mark.parametrize(
    "save",
    [
        torch.save,
        lambda c, p: torch.save(c, p, _use_new_zipfile_serialization=False),
        *(lambda c, p, n=n: save_raw(c, p, n) for n in range(6)),
    ],
)
def test_checkpoint_that_would_execute_code_is_refused_and_told_apart(module, tmp_path, save):
    """Never "truncated": who fetches it again gets the same."""
    flag = tmp_path / "executed"
    for call in (Call(os.mkdir, str(flag)), Call(eval, f"__import__('os').mkdir({str(flag)!r})")):
        save({"state_dict": module.state_dict(), "extra": call}, tmp_path / "a.pth")
        refuse(module, tmp_path / "a.pth", "could execute code on loading, so it was not loaded")
        assert not flag.exists()


def test_scripted_module_is_refused_as_one(module, tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "a.pth")
    refuse(module, tmp_path / "a.pth", "is a TorchScript archive, which could execute code")


def test_pickle_of_objects_is_not_executed(module, tmp_path):
    torch.save(module, tmp_path / "a.pth")
    refuse(module, tmp_path / "a.pth", r"pickles the Python object torch\.nn\.\S+Sequential")


def test_no_state_dict(module, tmp_path):
    torch.save([torch.zeros(3)], tmp_path / "a.pth")
    refuse(module, tmp_path / "a.pth", "expected one state dict .* found 0")


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.7, 0.99])
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_truncated_file(module, tmp_path, kept, form):
    path = tmp_path / ("a.safetensors" if form == "safetensors" else "a.pth")
    if form == "safetensors":
        save_file(module.state_dict(), path)
    else:
        torch.save(module.state_dict(), path, _use_new_zipfile_serialization=form == "zip")
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    refuse(module, path, "truncated or of another format")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_bytes_of_another_format(module, tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"<html>404: Not Found</html>" * 9)
    refuse(module, path, "of another format")


def test_absent_file_and_unknown_suffix(module, tmp_path):
    refuse(module, tmp_path / "none.pth", "found no file")
    (tmp_path / "a.onnx").write_bytes(b"")
    refuse(module, tmp_path / "a.onnx", "expected a checkpoint ending in")


@pytest.mark.mirror
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_checkpoint_fits_its_network_and_no_other(name):
    load_weights(build(name), find_checkpoint(name))
    other = "clapirn" if name != "clapirn" else "lapirn-disp"
    refuse(build(other), find_checkpoint(name), "checkpoint of another network")


def test_build_refuses_what_it_does_not_know():
    with pytest.raises(InputError, match=r"expected a network of .*clapirn.*, got 'resnet'"):
        build("resnet")
    with pytest.raises(InputError, match="cannot be built with options"):
        build("clapirn", regularty=0.3)


def test_built_network_is_in_eval_mode_and_its_multiple_is_known():
    assert not build("clapirn").training
    assert required_multiple("clapirn") == 8
