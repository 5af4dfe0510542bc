"""The tissue network gives what a plain pass through the published weights gave."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lumirage_lib.cohorts.segmented import segmenter_weights
from lumirage_lib.cohorts.sources import fetch
from lumirage_lib.methods.networks import load_weights
from lumirage_lib.methods.networks.tissue import N_CLASSES, make_tissue_network


def test_sides_come_back_and_classes_are_eighteen():
    with torch.inference_mode():
        out = make_tissue_network()(torch.zeros(1, 1, 8, 12, 10))
    assert out.shape == (1, N_CLASSES, 8, 12, 10)


@pytest.mark.mirror
@pytest.mark.golden
def test_labels_are_the_golden_ones(golden):
    network = make_tissue_network()
    load_weights(network, fetch(segmenter_weights()))
    with np.load(golden / "brainchop_tissue.npz") as file:
        image, labels = file["image"].astype(np.float32), file["labels"]
    with torch.inference_mode():
        scores = network(torch.from_numpy(image)[None, None])[0]
    found = scores.argmax(0).numpy()
    first, second = scores.topk(2, dim=0).values
    # How sums are ordered depends on the number of threads; it may decide a tie.
    tied = (first - second < 1e-5).numpy()
    assert tied.sum() < 10
    assert np.array_equal(found[~tied], labels[~tied])
