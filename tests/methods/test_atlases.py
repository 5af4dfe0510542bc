"""Atlases brought onto a scan, and the quality of labels fused from them."""

from __future__ import annotations

import numpy as np
from contrasts import compute_quality
from synthetic import brain, smooth_field, smooth_noise

from lumirage_lib.images import linear
from lumirage_lib.images.volumes import Volume
from lumirage_lib.images.warp import warp_image, warp_labels
from lumirage_lib.methods import atlases
from lumirage_lib.methods.atlases import register_atlas

SHAPE = (20, 24, 18)


def make_atlas(seed: int) -> tuple[Volume, list[Volume]]:
    image, field = brain(SHAPE), smooth_field(SHAPE, 0.5, seed)
    labels = np.digitize(image, [0.3, 0.5, 0.6, 0.7]).astype(np.int32)
    moved = warp_image(image, field) * (1 + 0.05 * smooth_noise(SHAPE, 2, seed + 50))
    moved[moved < 0.02] = 0
    return Volume(moved, np.eye(4)), [Volume(warp_labels(labels, field), np.eye(4))]


def stay(target: Volume, atlas: Volume) -> np.ndarray:
    return np.zeros((3, *target.shape), np.float32)


def test_quality_is_that_of_the_fused_map_and_fusion_beats_one_atlas():
    scans = [str(i) for i in range(7)]
    table = compute_quality(scans, lambda s: make_atlas(int(s)), scans[:2], register=stay)
    assert table["n_atlases"].eq(6).all()
    assert table["n_labels"].eq(4).all()
    wide = table.pivot_table(values="dice", index="scan", columns="rule")
    assert (wide["joint fusion"] > wide["one atlas"] + 0.02).all()


def test_an_atlas_is_brought_onto_the_grid_of_the_scan_by_the_method_asked_for():
    (target, _), (atlas, _) = make_atlas(1), make_atlas(2)
    field = register_atlas(target, atlas, "affine", working_mm=1.0)
    assert field.shape == (3, *target.shape)
    assert np.isfinite(field).all()


def test_methods_share_the_affine_of_an_atlas_and_another_atlas_has_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path))
    (target, _), (atlas, _), (other, _) = make_atlas(1), make_atlas(2), make_atlas(3)
    aligned = []

    def align(fixed: Volume, moving: Volume) -> np.ndarray:
        aligned.append(moving)
        return linear.align(fixed, moving)

    monkeypatch.setattr(atlases, "align", align)
    first, again = (register_atlas(target, atlas, "affine", working_mm=1.0) for _ in range(2))
    assert len(aligned) == 1
    np.testing.assert_array_equal(first, again)
    register_atlas(target, other, "affine", working_mm=1.0)
    assert len(aligned) == 2
