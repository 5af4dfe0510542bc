from __future__ import annotations

import numpy as np
import pytest
from synthetic import known_pair

from lumirage_lib.images.preprocess import PairImages
from lumirage_lib.methods import get_method, run_method

QUICK = {"scales": [2, 1], "iterations": [40, 10]}


@pytest.mark.parametrize("loss", ["cc", "mse"])
def test_deformation_is_recovered_across_contrasts(loss):
    """A contrast that inverts and bends: the images themselves are of no use."""
    fixed, moving, true = known_pair()
    other = (1 - moving) ** 2 * (moving > 0)
    pair = PairImages(fixed, other.astype(np.float32), np.eye(4), np.eye(4), np.eye(4))
    spec = get_method("fireants-greedy-mind")
    inside = fixed > 0.3

    def error(**given) -> float:
        found = run_method(spec, pair, spec.with_parameters({**QUICK, **given}))
        return float(np.linalg.norm((found - true)[:, inside], axis=0).mean())

    nothing = float(np.linalg.norm(true[:, inside], axis=0).mean())
    with_descriptors, without = error(loss=loss), error(loss=loss, mind_radius=0)
    assert with_descriptors < 0.75 * nothing
    assert with_descriptors < 0.8 * without


def test_only_loss_and_descriptors_distinguish_it_from_greedy():
    greedy, mind = get_method("fireants-greedy"), get_method("fireants-greedy-mind")
    own = {"loss", "mind_radius", "mind_dilation"}
    assert {k: v for k, v in mind.parameters.items() if k not in own} == greedy.parameters
    assert own <= set(mind.parameters)
    assert "heinrich2013" in mind.citation
    assert mind.version == greedy.version
    with pytest.raises(Exception, match="no parameter mind_radius"):
        greedy.with_parameters({"mind_radius": 2})
