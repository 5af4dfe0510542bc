from __future__ import annotations

import pytest
import torch
from helpers import as_batch, build_published, make_blobs

from lumirage_lib.networks import LapIRN


@pytest.mark.mirror
def test_regularity_smooths(rng):
    fixed, moving = (as_batch(make_blobs(rng, (32, 40, 48))) for _ in range(2))
    with torch.inference_mode():
        rough, smooth = (
            build_published("clapirn", regularity=r)(fixed, moving).diff(dim=2).square().mean()
            for r in (0.0, 1.0)
        )
    assert smooth < 0.8 * rough


def test_output_convolution_of_the_parts_equals_that_of_the_whole():
    level = LapIRN(start_channels=1)
    features, narrow = (torch.randn(1, 4, 6, 5, 7) for _ in range(2))
    whole = level.output_lvl1(torch.cat((features, narrow), 1)) * 0.4
    assert torch.allclose(level._compute_residual(features, narrow), whole, atol=1e-6)
