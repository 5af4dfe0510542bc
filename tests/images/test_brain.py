"""Finding the brain changes nothing where an image is as it should be (bad ones: tests/faults)."""

from __future__ import annotations

import numpy as np
import pytest

from lumirage_lib.cohorts import get_cohort
from lumirage_lib.images.brain import find_brain
from lumirage_lib.images.volumes import Volume


@pytest.mark.mirror
@pytest.mark.parametrize(
    ("name", "contrasts"),
    [("oasis", [""]), ("openms", ["T1w", "T2w", "FLAIR"]), ("macaque", [""]), ("nichart", ["T1w"])],
)
def test_images_of_the_published_rows_pass_as_they_are(name, contrasts):
    for contrast in contrasts:
        cohort = get_cohort(name, **({"contrast": contrast} if contrast else {}))
        for scan in cohort.scans[:4]:
            volume = cohort.load_image(scan)
            assert find_brain(volume) is volume


def test_a_generated_brain_passes_as_it_is():
    cohort = get_cohort("template", spacing_mm=4.0)
    volume = cohort.load_image(cohort.scans[0])
    assert find_brain(volume) is volume


@pytest.mark.parametrize(("scale", "offset"), [(1.0, -5.0), (0.01, 3.0), (-1.0, 0.0)])
def test_the_order_of_values_stays_and_so_do_their_distances(scale, offset):
    image = np.full((14, 15, 16), -100.0)
    image[3:11, 4:12, 5:13] = np.arange(512.0).reshape(8, 8, 8)
    found = find_brain(Volume(scale * image + offset, np.eye(4))).data
    inside = image >= 0
    assert (found[~inside] == 0).all()
    steps = np.diff(found[inside]) / scale
    np.testing.assert_allclose(steps, np.diff(image[inside]), atol=2e-3)
