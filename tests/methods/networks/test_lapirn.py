from __future__ import annotations

import pytest
import torch
from helpers import as_batch, build_published, make_blobs


@pytest.mark.mirror
def test_regularity_smooths(rng):
    fixed, moving = (as_batch(make_blobs(rng, (32, 40, 48))) for _ in range(2))
    with torch.inference_mode():
        rough, smooth = (
            build_published("clapirn", regularity=r)(fixed, moving).diff(dim=2).square().mean()
            for r in (0.0, 1.0)
        )
    assert smooth < 0.8 * rough
