from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from lumirage_lib.errors import InputError
from lumirage_lib.experiments.training import plot_training
from lumirage_lib.methods.networks import VFA, infer_options, load_weights
from lumirage_lib.methods.training import loop
from lumirage_lib.methods.training.card import make_card
from lumirage_lib.methods.training.loop import train


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def curves(state) -> pd.DataFrame:
    return pd.DataFrame(state.history).drop(columns="seconds")


def test_killed_and_resumed_is_bit_for_bit_the_same(cohort, recipe, tmp_path, monkeypatch):
    whole = train(cohort, recipe, tmp_path / "whole", iterations=4)
    train(cohort, recipe, tmp_path / "parts", iterations=2)
    lost = loop.step

    def die(state, *rest):
        if state.iteration == 3:
            raise KeyboardInterrupt
        return lost(state, *rest)

    with monkeypatch.context() as patch:  # a third iteration is made and lost with the process
        patch.setattr(loop, "step", die)
        with pytest.raises(KeyboardInterrupt):
            train(cohort, recipe, tmp_path / "parts", iterations=4, resume=True)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002  whatever the process drew before does not matter
    parts = train(cohort, recipe, tmp_path / "parts", iterations=4, resume=True)
    assert parts.iteration == 4
    for mine, other in ((whole.network, parts.network), (whole.average, parts.average)):
        for key, value in mine.state_dict().items():
            assert torch.equal(value, other.state_dict()[key]), key
    pd.testing.assert_frame_equal(curves(whole), curves(parts), check_exact=True)
    written = [load_file(tmp_path / name / loop.WEIGHTS) for name in ("whole", "parts")]
    assert all(torch.equal(written[0][key], value) for key, value in written[1].items())
    assert len(pd.read_csv(tmp_path / "parts" / loop.HISTORY)) == 4


def test_training_learns_on_scans_it_does_not_fit(cohort, recipe, tmp_path):
    recipe = replace(recipe, validate_every=20, learning_rate=5e-3, smoothness=((0, 0.2),))
    row = train(cohort, recipe, tmp_path, iterations=20).history[-1]
    assert row["held_out_correlation"] > row["held_out_correlation_before"] + 0.02
    assert row["held_out_folded_percent"] < 1


def test_another_seed_is_another_run(cohort, recipe, tmp_path):
    losses = [
        train(cohort, recipe, tmp_path / str(seed), seed=seed, iterations=1).history[0]["loss"]
        for seed in (0, 1)
    ]
    assert losses[0] != losses[1]


def test_a_run_is_not_overwritten_nor_mixed_with_another(cohort, recipe, tmp_path):
    train(cohort, recipe, tmp_path, iterations=1)
    with pytest.raises(InputError, match="holds a run already; add --resume"):
        train(cohort, recipe, tmp_path, iterations=2)
    with pytest.raises(InputError, match="of another run: smoothness differ"):
        train(cohort, replace(recipe, smoothness=((0, 9.0),)), tmp_path, iterations=2, resume=True)
    with pytest.raises(InputError, match="of another run: seed differ"):
        train(cohort, recipe, tmp_path, seed=1, iterations=2, resume=True)


def test_hours_end_a_run_and_count_earlier_parts(cohort, recipe, tmp_path):
    state = train(cohort, recipe, tmp_path, hours=1e-9)
    assert state.iteration == 1
    assert train(cohort, recipe, tmp_path, hours=1e-9, resume=True).iteration == 1


def test_both_ways_is_what_two_calls_of_the_network_give(recipe):
    torch.manual_seed(0)
    network = VFA(**recipe.options)
    images = torch.rand(2, 1, 16, 20, 24)
    with torch.no_grad():
        found = loop.register_both_ways(network, images)
        first = network(images[:1], images[1:])
        second = network(images[1:], images[:1])
    assert first.abs().max() > 0.01
    torch.testing.assert_close(found, torch.cat([first, second]), atol=1e-4, rtol=0)


def test_finer_levels_join_later_and_are_written_once_they_have(recipe, cohort, tmp_path):
    early = train(cohort, recipe, tmp_path, iterations=3)
    coarse = VFA(**infer_options(load_file(tmp_path / loop.WEIGHTS)))
    load_weights(coarse, tmp_path / loop.WEIGHTS)
    images = torch.rand(2, 1, 16, 20, 16)
    with torch.no_grad():
        expected = loop.register_both_ways(early.average, images, finest=1)
        torch.testing.assert_close(coarse(images[:1], images[1:]), expected[:1], atol=1e-4, rtol=0)
    start = loop.start(recipe, 0, "cpu").network.state_dict()
    fine = [key for key in start if key not in coarse.state_dict()]
    assert fine
    assert all(torch.equal(early.network.state_dict()[key], start[key]) for key in fine)
    late = train(cohort, recipe, tmp_path, iterations=4, resume=True)
    changed = [not torch.equal(late.network.state_dict()[key], start[key]) for key in fine]
    assert sum(changed) > len(fine) / 2
    saved = load_file(tmp_path / loop.WEIGHTS)
    assert all(torch.equal(saved[k], v) for k, v in late.average.state_dict().items())


def test_mixed_precision_is_close_and_its_gradients_finite(recipe):
    torch.manual_seed(0)
    network = VFA(**recipe.options)
    images = torch.rand(2, 1, 8, 12, 16)
    exact = loop.register_both_ways(network, images)
    coarse = loop.register_both_ways(network, images, precision="bfloat16")
    assert 0 < (coarse - exact).abs().max() < 0.2
    coarse.square().sum().backward()
    assert all(p.grad.isfinite().all() and p.dtype == torch.float32 for p in network.parameters())


def test_average_is_the_mean_over_the_last_iterations(cohort, recipe, tmp_path):
    """After the first step it is 10/11 of the way to the weights, then lags behind them."""
    first = loop.start(recipe, 0, "cpu")
    state = train(cohort, recipe, tmp_path, iterations=1)
    before, now, average = (n.state_dict() for n in (first.network, state.network, state.average))
    for key in average:
        expected = before[key] + (now[key] - before[key]) * 10 / 11
        torch.testing.assert_close(average[key], expected)
        moved = not torch.equal(now[key], before[key])
        assert moved or key.endswith("bias") or ".0." in key, key


def test_too_few_scans_are_refused(cohort, recipe, tmp_path):
    with pytest.raises(InputError, match="two scans or more on each side, got 1 to fit and 4"):
        train(cohort, replace(recipe, n_held_out=4), tmp_path, iterations=1)


def test_card_says_what_was_used_and_curves_are_drawn(cohort, recipe, tmp_path):
    state = train(cohort, recipe, tmp_path, iterations=4)
    card = make_card(tmp_path, cohort, {"hardware": "an abacus"})
    assert "| images | 3 T1w scans of the cohort tiny (nobody), group train: 0, 1, 2;" in card
    assert "2 ordered pairs of the held-out scans 3, 4, after iteration 4" in card
    assert f"{state.history[-1]['held_out_correlation']:.4f} after registration" in card
    assert "| smoothness | ((0, 2.0), (625, 1.0)) |" in card
    assert "| hardware | an abacus |" in card
    assert "S9" not in card
    figure = plot_training(pd.DataFrame(state.history))
    shown = [line.get_ydata() for line in figure.axes[0].lines]
    assert list(shown[2]) == [r["held_out_correlation"] for r in state.history[1::2]]


def test_one_call_begins_goes_on_and_ends_in_its_time(cohort, recipe, tmp_path, monkeypatch):
    """`--resume --minutes`: the same call again and again, on a machine lent for a while."""
    monkeypatch.setattr(loop, "SECONDS_TO_WRITE", 0.0)
    assert train(cohort, recipe, tmp_path, iterations=1, resume=True).iteration == 1
    assert train(cohort, recipe, tmp_path, minutes=0.0, resume=True).iteration == 1
    assert train(cohort, recipe, tmp_path, iterations=2, minutes=5.0, resume=True).iteration == 2


def test_a_run_ends_on_its_plateau_and_not_before(cohort, recipe, tmp_path):
    one = {"smoothness": ((0, 1.0),), "plateau": (2.0, 4), "validate_every": 2}
    recipe = replace(recipe, **one)  # no gain is that large
    state = train(cohort, recipe, tmp_path, iterations=50)
    last_phase = max(start for start, _ in (*recipe.windows, *recipe.finest))
    assert state.iteration == 4 + 2 * -(-last_phase // 2)
    assert loop.has_settled(state.history, recipe)
    assert not loop.has_settled(state.history, replace(recipe, plateau=(-2.0, 4)))
    assert not loop.has_settled(state.history, replace(recipe, plateau=None))


def test_a_remapped_run_fits_the_images_as_they_were(cohort, recipe, tmp_path):
    """The same draws, other inputs: the network's displacement changes, the images of the loss not."""
    first = {}
    for remapped in (False, True):
        one = replace(recipe, remapped=remapped, scales=(0.8, 1.2), n_fitted=2)
        first[remapped] = train(cohort, one, tmp_path / str(remapped), iterations=1).history[0]
    assert first[True]["correlation"] != first[False]["correlation"]
    assert abs(first[True]["correlation"] - first[False]["correlation"]) < 0.1
