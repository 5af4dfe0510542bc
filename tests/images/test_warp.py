from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage
from synthetic import (
    GRIDS,
    SHAPE,
    brain,
    grid_affine,
    indices,
    interior,
    smooth_field,
    smooth_noise,
    to_points,
)

from lumirage_lib.errors import InputError
from lumirage_lib.images.volumes import Volume, reorient, reorient_array, save_volume
from lumirage_lib.images.warp import (
    check_displacement,
    compose,
    displacement_of_matrix,
    from_fireants,
    from_grid_sample,
    from_itk,
    from_world,
    identity_grid,
    load_displacement,
    reorient_displacement,
    save_displacement,
    save_itk,
    to_fireants,
    to_grid_sample,
    to_itk,
    to_native,
    to_stored,
    to_world,
    warp_image,
    warp_labels,
)

# Another length and another sign on each axis: no exchange or flip of axes passes unnoticed.
SHIFT = (3, -2, 1)
MOVING_SHAPE = (12, 9, 17)


def constant_field(shift=SHIFT, shape=SHAPE) -> np.ndarray:
    return np.broadcast_to(np.reshape(shift, (3, 1, 1, 1)), (3, *shape)).astype(np.float32)


def point_image(where, shape=SHAPE) -> np.ndarray:
    image = np.zeros(shape, np.float32)
    image[tuple(where)] = 1
    return image


# ---- the convention itself


def test_displacement_says_where_in_the_moving_image_to_look():
    """A point at (6, 7, 5) of the moving image is seen at (6, 7, 5) - SHIFT of the fixed grid."""
    moved = warp_image(point_image((6, 7, 5)), constant_field())
    assert_array_equal(moved, point_image((3, 9, 4)))
    labels = point_image((6, 7, 5)).astype(np.int16) * 40
    for rule in ("nearest", "linear"):
        assert_array_equal(warp_labels(labels, constant_field(), rule), moved * 40)


def test_moving_grid_may_differ_from_the_fixed_one():
    moving = point_image((10, 3, 15), MOVING_SHAPE)
    field = constant_field((-1, -4, 6))
    expected = point_image((11, 7, 9))
    assert_array_equal(warp_image(moving, field), expected)
    assert_array_equal(warp_labels(moving.astype(np.uint8), field, "linear"), expected)


def test_outside_the_moving_image_lies_the_fill_value():
    moved = warp_image(np.ones(SHAPE), constant_field((SHAPE[0], 0, 0)), fill=-5)
    assert (moved == -5).all()


@pytest.mark.parametrize(
    ("field", "complaint"),
    [
        (np.zeros((*SHAPE, 3)), r"expected shape \(3, X, Y, Z\), got \(13, 16, 11, 3\)"),
        (np.zeros((3, *SHAPE[:2])), r"expected shape \(3, X, Y, Z\)"),
        (np.zeros((3, 9, 9, 9)), r"grid \(9, 9, 9\) but the fixed image \(13, 16, 11\)"),
        (np.full((3, *SHAPE), np.nan), "NaN or infinite"),
        (np.full((3, *SHAPE), 1e300), "NaN or infinite"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_field_that_is_none_is_refused(field, complaint):
    with pytest.raises(InputError, match=f"^pair 3: .*{complaint}"):
        check_displacement(field, SHAPE, "pair 3")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8])
def test_field_of_any_number_type_is_taken(dtype):
    checked = check_displacement(constant_field().astype(dtype), SHAPE)
    assert checked.dtype == np.float32
    assert_array_equal(checked, constant_field())


# ---- torch


@pytest.mark.parametrize("moving_shape", [SHAPE, MOVING_SHAPE])
@pytest.mark.parametrize("kind", ["shift", "smooth"])
def test_grid_sample_warps_as_we_do(kind, moving_shape):
    field = constant_field() if kind == "shift" else smooth_field(SHAPE, 1.5, 3)
    moving = smooth_noise(moving_shape, 1.0, 4)
    grid = torch.from_numpy(np.ascontiguousarray(to_grid_sample(field, moving_shape)))
    assert grid.shape == (1, *SHAPE, 3)
    theirs = F.grid_sample(torch.from_numpy(moving)[None, None], grid, align_corners=True)[0, 0]
    inside = lands_inside(field, moving_shape)
    assert inside.mean() > 0.2
    assert_allclose(warp_image(moving, field)[inside], theirs.numpy()[inside], atol=2e-5)
    assert_allclose(from_grid_sample(grid.numpy(), moving_shape), field, atol=1e-5)


@pytest.mark.parametrize("moving_shape", [SHAPE, MOVING_SHAPE])
def test_fireants_coordinates_warp_as_we_do(moving_shape):
    """FireANTs holds SimpleITK's arrays, (Z, Y, X), and samples them with grid_sample."""
    field, moving = constant_field() + smooth_field(SHAPE, 1.0, 3), smooth_noise(moving_shape, 1, 4)
    grid = torch.from_numpy(np.ascontiguousarray(to_fireants(field, moving_shape)))
    assert grid.shape == (1, *SHAPE[::-1], 3)
    theirs = F.grid_sample(torch.from_numpy(moving.T.copy())[None, None], grid, align_corners=True)[
        0, 0
    ]
    inside = lands_inside(field, moving_shape)
    assert_allclose(warp_image(moving, field)[inside], theirs.numpy().T[inside], atol=2e-5)
    assert_allclose(from_fireants(grid.numpy(), moving_shape), field, atol=1e-5)


def lands_inside(field, moving_shape) -> np.ndarray:
    """Where the sampled point lies within the moving grid, clear of its border."""
    there = identity_grid(field.shape[1:]) + field
    last = np.reshape(moving_shape, (3, 1, 1, 1)) - 1
    return ((there > 1e-3) & (there < last - 1e-3)).all(axis=0)


# ---- millimetres


@pytest.mark.parametrize("moving_name", ["same", "LAS", "oblique RAS"])
@pytest.mark.parametrize("name", GRIDS)
def test_world_displacement_leads_from_the_fixed_to_the_moving_point(name, moving_name):
    fixed, same = grid_affine(name), moving_name == "same"
    moving = fixed if same else grid_affine(moving_name, (1.1, 0.9, 1.4), (-20, 18, 3))
    field = constant_field() + smooth_field(SHAPE, 0.7, 1)
    start = to_points(fixed, indices(SHAPE))
    end = to_points(moving, indices(SHAPE) + field.reshape(3, -1))
    mm = to_world(field, fixed, None if same else moving)
    assert_allclose(mm.reshape(3, -1), end - start, atol=1e-4)
    assert_allclose(from_world(mm, fixed, moving), field, atol=2e-4)


def to_sitk(array: np.ndarray, affine: np.ndarray, vector: bool = False):
    """SimpleITK image of an array (X, Y, Z[, 3]), written independently of the library."""
    axes = (2, 1, 0, 3) if vector else (2, 1, 0)
    image = sitk.GetImageFromArray(np.transpose(array, axes).astype(float), isVector=vector)
    flip = np.diag([-1.0, -1.0, 1.0])
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    image.SetOrigin((flip @ affine[:3, 3]).tolist())
    image.SetSpacing(spacing.tolist())
    image.SetDirection((flip @ (affine[:3, :3] / spacing)).ravel().tolist())
    return image


@pytest.mark.parametrize("moving_name", ["same", "LIA", "oblique RAS"])
@pytest.mark.parametrize("name", GRIDS)
def test_itk_resamples_as_we_do(name, moving_name):
    """SimpleITK, given our field in millimetres LPS, shows the same moved image."""
    fixed, same = grid_affine(name), moving_name == "same"
    moving_affine = fixed if same else grid_affine(moving_name, (1.1, 0.9, 1.4))
    shape = SHAPE if same else MOVING_SHAPE
    # A field that lands in the moving grid: through the world when the grids differ.
    onto = np.linalg.inv(moving_affine) @ fixed
    if not same:
        middle = to_points(fixed, np.reshape(SHAPE, (3, 1)) / 2.0)
        onto[:3, 3] += (
            np.reshape(shape, 3) / 2 - to_points(np.linalg.inv(moving_affine), middle).ravel()
        )
    field = displacement_of_matrix(onto, SHAPE)
    field += constant_field((1.7, -1.2, 0.6)) + smooth_field(SHAPE, 0.5, 2)
    moving = smooth_noise(shape, 1.5, 6)
    vectors = to_itk(field, fixed, moving_affine)
    transform = sitk.DisplacementFieldTransform(to_sitk(vectors, fixed, vector=True))
    theirs = sitk.Resample(
        to_sitk(moving, moving_affine),
        to_sitk(np.zeros(SHAPE), fixed),
        transform,
        sitk.sitkLinear,
        -9.0,
    )
    theirs = sitk.GetArrayFromImage(theirs).T
    inside = lands_inside(field, shape)
    assert inside.mean() > 0.15
    assert_allclose(warp_image(moving, field)[inside], theirs[inside], atol=1e-3)
    assert_allclose(from_itk(vectors, fixed, moving_affine), field, atol=2e-4)
    assert_array_equal(  # NIfTI's five axes
        from_itk(vectors[:, :, :, None], fixed, moving_affine),
        from_itk(vectors, fixed, moving_affine),
    )


def test_itk_vector_of_a_shift_by_hand():
    """One voxel along +i of an LAS grid with 0.8 mm voxels goes 0.8 mm left: +0.8 in LPS."""
    affine = np.diag([-0.8, 1.25, 2.0, 1.0])
    assert_allclose(to_itk(constant_field((1, 0, 0)), affine)[0, 0, 0], [0.8, 0, 0], atol=1e-6)
    assert_allclose(to_itk(constant_field((0, 1, 0)), affine)[0, 0, 0], [0, -1.25, 0], atol=1e-6)
    assert_allclose(to_itk(constant_field((0, 0, 1)), affine)[0, 0, 0], [0, 0, 2.0], atol=1e-6)


@pytest.mark.parametrize("shape", [(3, *SHAPE), (*SHAPE, 2), SHAPE])
def test_itk_field_of_another_shape_is_refused(shape):
    with pytest.raises(InputError, match=r"ITK field: expected shape \(X, Y, Z, 3\)"):
        from_itk(np.zeros(shape), np.eye(4))


# ---- Learn2Reg files


@pytest.mark.parametrize("layout", ["saved by us", "components last", "components first"])
@pytest.mark.parametrize("precision", [np.float16, np.float32, np.float64])
def test_learn2reg_file_is_read_as_written(tmp_path, layout, precision):
    field = (constant_field() + smooth_field(SHAPE, 0.7, 1)).astype(precision)
    path, affine = tmp_path / "disp_0001_0002.nii.gz", grid_affine("LIA")
    if layout == "saved by us":
        save_displacement(field, affine, path)
    else:
        # NIfTI has no half precision: those who publish float16 store its values as float32.
        stored = np.moveaxis(field, 0, -1) if layout.endswith("last") else field
        stored = stored.astype(np.promote_types(precision, np.float32))
        nib.save(nib.Nifti1Image(stored, affine), path)
    image = nib.load(path)
    loaded = load_displacement(path, SHAPE)
    assert loaded.dtype == np.float32
    assert loaded.flags.c_contiguous
    assert_array_equal(loaded, field.astype(np.float32))
    assert image.shape == ((3, *SHAPE) if layout.endswith("first") else (*SHAPE, 3))
    assert_allclose(image.affine, affine, atol=1e-5)


def test_learn2reg_file_holds_voxels_of_the_stored_array(tmp_path):
    """Read with nibabel and scipy alone, as the challenge's evaluation does."""
    path = save_displacement(constant_field(), grid_affine("LPS"), tmp_path / "disp.nii")
    stored = nib.load(path).get_fdata()
    there = np.indices(SHAPE) + np.moveaxis(stored, -1, 0)
    moved = ndimage.map_coordinates(point_image((6, 7, 5)), there, order=1)
    assert_array_equal(moved, point_image((3, 9, 4)))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "no such file"),
        (b"", "not a readable NIfTI"),
        (b"half", "not a readable NIfTI"),
        (np.zeros(SHAPE, np.float32), r"expected shape \(3, X, Y, Z\)"),
        (np.zeros((9, 9, 9, 3), np.float32), r"grid \(9, 9, 9\)"),
        (np.full((*SHAPE, 3), np.inf, np.float32), "NaN or infinite"),
    ],
)
def test_displacement_that_cannot_be_used_is_refused_by_name(tmp_path, content, complaint):
    path = tmp_path / "disp_0001_0002.nii.gz"
    if isinstance(content, np.ndarray):
        nib.save(nib.Nifti1Image(content, np.eye(4)), path)
    elif content == b"half":
        save_displacement(smooth_field(SHAPE, 1, 1), np.eye(4), path)
        path.write_bytes(path.read_bytes()[:2000])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"disp_0001_0002\.nii\.gz.*{complaint}"):
        load_displacement(path, SHAPE)


# ---- composition


def test_composition_equals_two_warps():
    moving = smooth_noise(SHAPE, 3, 1)
    inner = constant_field((0.6, -0.4, 0.3)) + smooth_field(SHAPE, 0.5, 2)
    outer = constant_field((-0.7, 0.9, 0.2)) + smooth_field(SHAPE, 0.4, 9)
    once = warp_image(moving, compose(outer, inner))
    twice = warp_image(warp_image(moving, inner), outer)
    inside = interior(SHAPE, 4)
    # Below what the order of the two, or a sum of the fields, would differ by.
    assert np.abs(once - twice)[inside].max() < 0.1
    for wrong in (compose(inner, outer), inner + outer):
        assert (
            np.abs(once - twice)[inside].mean()
            < 0.5 * np.abs(warp_image(moving, wrong) - twice)[inside].mean()
        )


def test_composition_interpolates_the_image_once():
    """Two half steps make a whole one: a point stays sharp, which two warps would blur."""
    half = constant_field((0.5, -0.5, 0.5))
    moving = point_image((6, 7, 5))
    assert_array_equal(warp_image(moving, compose(half, half)), point_image((5, 8, 4)))
    assert warp_image(warp_image(moving, half), half).max() < 0.2


def test_composition_of_affine_maps_is_that_of_their_matrices():
    first, second = np.eye(4), np.eye(4)
    first[:3] += np.random.default_rng(1).normal(0, 0.02, (3, 4))
    second[:3] += np.random.default_rng(2).normal(0, 0.02, (3, 4))
    inner, outer = (displacement_of_matrix(m, SHAPE) for m in (first, second))
    expected = displacement_of_matrix(first @ second, SHAPE)
    inside = (slice(None), *interior(SHAPE, 2))  # beyond its edge `inner` is held constant
    assert_allclose(compose(outer, inner)[inside], expected[inside], atol=1e-5)


def test_displacement_of_a_matrix_is_exact_on_a_large_grid():
    matrix = np.eye(4)
    matrix[:3] += np.random.default_rng(3).normal(0, 0.1, (3, 4))
    shape = (301, 2, 257)
    expected = (to_points(matrix, indices(shape)) - indices(shape)).reshape(3, *shape)
    assert_allclose(displacement_of_matrix(matrix, shape), expected, atol=4e-6)


# ---- from the working grid to the native one


def working_grid(name: str, zoom, start) -> np.ndarray:
    """Working voxel -> native voxel: another orientation, another spacing, a crop."""
    matrix = np.linalg.inv(grid_affine("RAS", (1, 1, 1), (0, 0, 0))) @ grid_affine(
        name, zoom, (0, 0, 0)
    )
    matrix[:3, 3] = start
    return matrix


@pytest.mark.parametrize(
    ("name", "zoom", "start"),
    [
        ("RAS", (1, 1, 1), (0, 0, 0)),
        ("RAS", (1, 1, 1), (-3, 4, -2)),
        ("RAS", (2, 2, 2), (0.5, 0.5, 0.5)),
        ("LIA", (1, 1, 1), (23, 0, 25)),
        ("LIA", (0.7, 1.3, 1.9), (20.2, 1.4, 24.1)),
        ("oblique LPS", (1.2, 1.2, 1.2), (25.1, 27.3, -1.3)),
    ],
)
def test_native_field_is_the_maps_evaluated_one_after_the_other(name, zoom, start):
    """x -> y = to_fixed^-1 x -> y + u(y) -> to_moving: checked with a formula for u."""
    to_fixed, native, working = working_grid(name, zoom, start), (22, 25, 24), (30, 34, 32)
    affine = np.eye(4)
    affine[:3, :3] += np.random.default_rng(4).normal(0, 0.05, (3, 3))
    affine[:3, 3] = (3.5, -6.25, 1.75)
    to_moving = affine @ to_fixed

    def u(y):
        """A quadratic: linear interpolation errs by at most 1/8 of its second differences."""
        return np.stack(
            [
                1.5 + 0.05 * y[1] - 0.002 * y[0] ** 2,
                -2.0 + 0.03 * y[2] + 0.0015 * y[0] * y[1],
                0.8 - 0.04 * y[0] + 0.002 * y[2] * y[1],
            ]
        )

    field = u(indices(working)).reshape(3, *working)
    result = to_native(field.astype(np.float32), to_fixed, to_moving, native)
    x = indices(native)
    y = to_points(np.linalg.inv(to_fixed), x)
    expected = to_points(to_moving, y + u(y)) - x
    inside = ((y >= 0) & (y <= np.reshape(working, (3, 1)) - 1)).all(axis=0)
    assert inside.mean() > 0.25
    assert result.shape == (3, *native)
    assert result.dtype == np.float32
    assert_allclose(result.reshape(3, -1)[:, inside], expected[:, inside], atol=2e-3)
    # Beyond the working grid the field keeps its edge value; the linear part goes on.
    edge = np.clip(y, 0, np.reshape(working, (3, 1)) - 1.0)
    beyond = to_points(to_moving, y + u(edge)) - x
    assert_allclose(result.reshape(3, -1), beyond, atol=2e-3)


def test_zero_field_leaves_the_alignment_alone():
    to_fixed = working_grid("LIA", (2, 2, 2), (20, 1, 24))
    affine = np.diag([1.1, 0.9, 1.05, 1.0])
    result = to_native(np.zeros((3, 9, 9, 9)), to_fixed, affine @ to_fixed, (22, 25, 24))
    assert_allclose(result, displacement_of_matrix(affine, (22, 25, 24)), atol=1e-5)


# ---- orientation


@pytest.mark.parametrize("source", ["RAS", "LIA", "LPS"])
@pytest.mark.parametrize("target", ["RAS", "LAS", "LPS", "LIA", "SPL"])
def test_warping_in_another_orientation_gives_the_reoriented_image(source, target):
    moving = smooth_noise(SHAPE, 1, 4)
    field = constant_field() + smooth_field(SHAPE, 0.8, 3)
    turned = reorient_displacement(field, source, target)
    there = warp_image(reorient_array(moving, source, target), turned)
    assert_allclose(there, reorient_array(warp_image(moving, field), source, target), atol=2e-4)
    assert_array_equal(reorient_displacement(turned, target, source), field)


@pytest.mark.parametrize("name", GRIDS)
def test_reoriented_field_is_the_same_in_millimetres(name):
    affine = grid_affine(name)
    volume = Volume(np.zeros(SHAPE), affine)
    field = constant_field() + smooth_field(SHAPE, 0.8, 3)
    turned = reorient_displacement(field, volume.orientation, "RAS")
    in_ras = to_world(turned, reorient(volume).affine)
    back = np.stack([reorient_array(c, "RAS", volume.orientation) for c in in_ras])
    assert_allclose(back, to_world(field, affine), atol=1e-4)


# ---- labels


def dense_linear(labels, field):
    """One-hot, trilinear, argmax, and by how much the winner leads; slow and literal."""
    padded = np.pad(labels, 2)  # outside lies background, which wins nothing for others
    there = np.indices(field.shape[1:]) + field.astype(np.float64) + 2
    values = np.unique(padded)
    weights = np.stack(
        [
            ndimage.map_coordinates((padded == v).astype(float), there, order=1, cval=v == 0)
            for v in values
        ]
    )
    ordered = np.sort(weights, axis=0)
    return values[weights.argmax(axis=0)], ordered[-1] - ordered[-2]


def label_map(shape, n: int, seed: int, dtype=np.int32, values=None) -> np.ndarray:
    noise = smooth_noise(shape, 1.2, seed)
    ranks = np.digitize(noise, np.quantile(noise, np.linspace(0, 1, n + 1)[1:-1]))
    values = np.arange(n) if values is None else np.array(values)
    return values[ranks].astype(dtype)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(2, 9),
    amplitude=st.floats(0, 6),
    moving_shape=st.sampled_from([SHAPE, MOVING_SHAPE, (1, 5, 2)]),
    fortran=st.booleans(),
)
def test_labels_follow_the_dense_rules(seed, n, amplitude, moving_shape, fortran):
    labels = label_map(moving_shape, n, seed)
    labels = np.asfortranarray(labels) if fortran else labels  # as nibabel reads them
    field = smooth_field(SHAPE, amplitude, seed, sigma=1.5).astype(np.float32)
    # Nearest
    there = np.floor(identity_grid(SHAPE) + field + np.float32(0.5)).astype(int)
    last = np.reshape(moving_shape, (3, 1, 1, 1)) - 1
    inside = ((there >= 0) & (there <= last)).all(axis=0)
    expected = np.where(inside, labels[tuple(np.clip(there, 0, last))], 0)
    assert_array_equal(warp_labels(labels, field), expected)
    # Linear: float32 decides ties its own way, so only where one label clearly leads
    expected, margin = dense_linear(labels, field)
    clear = margin > 1e-4
    assert clear.mean() > 0.7
    assert_array_equal(warp_labels(labels, field, "linear")[clear], expected[clear])


@pytest.mark.parametrize("rule", ["nearest", "linear"])
@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("uint8", (0, 1, 255)),
        ("int16", (0, 7, 207)),
        ("int32", (3, 40, 2035)),
        ("int64", (0, 9, 1)),
    ],
)
def test_labels_keep_their_type_and_invent_none(rule, dtype, values):
    labels = label_map(SHAPE, 3, 1, dtype, values)
    moved = warp_labels(labels, smooth_field(SHAPE, 2, 8), rule)
    assert moved.dtype == dtype
    assert set(np.unique(moved)) <= {0, *values}
    assert_array_equal(warp_labels(labels, np.zeros((3, *SHAPE)), rule), labels)


def test_ties_go_to_the_smallest_label():
    labels = np.zeros((2, 4, 4), np.uint8)
    labels[0], labels[1] = 9, 4
    moved = warp_labels(labels, constant_field((0.5, 0, 0), (1, 4, 4)), "linear")
    assert (moved == 4).all()


def test_linear_rule_differs_from_nearest_where_two_parts_of_a_label_outweigh_the_nearest():
    labels = np.array([5, 5, 1], np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    labels[1, 0, 0] = 2  # the nearest voxel alone has this label
    field = constant_field((0.6, 0.45, 0.45), (1, 1, 1))
    assert warp_labels(labels, field)[0, 0, 0] == 2
    assert warp_labels(labels, field, "linear")[0, 0, 0] == 5


def test_unknown_rule_is_refused():
    with pytest.raises(InputError, match=r"label rule 'cubic'"):
        warp_labels(np.zeros(SHAPE, int), constant_field(), "cubic")


# ---- the arrays that two files hold


STORED = [("LPS", "RAS"), ("LIA", "oblique LPS"), ("oblique RAS", "PSR"), ("LAS", "LAS")]


def stored_pair(fixed_name: str, moving_name: str):
    """Two images as files hold them, a displacement between them turned to RAS, and the moved image."""
    shapes = (22, 25, 20), (20, 27, 23)
    fixed = Volume(brain(shapes[0]), grid_affine(fixed_name, (1.1, 1.0, 1.3)), "fixed")
    moving = Volume(brain(shapes[1], 4), grid_affine(moving_name, (0.9, 1.2, 1.0)), "moving")
    in_ras = reorient(fixed), reorient(moving)
    # Onto the middle of the moving array by way of indices, whatever the headers say, and a bend.
    middle = [(np.array(v.shape) - 1) / 2 for v in in_ras]
    shift = (middle[1] - middle[0]).astype(np.float32).reshape(3, 1, 1, 1)
    field = smooth_field(in_ras[0].shape, 1.0, 3) + shift
    moved = Volume(warp_image(in_ras[1].data, field), in_ras[0].affine)
    return fixed, moving, field, reorient(moved, fixed.orientation)


@pytest.mark.parametrize(("fixed_name", "moving_name"), STORED)
def test_stored_displacement_moves_the_arrays_as_they_are(fixed_name, moving_name):
    fixed, moving, field, moved = stored_pair(fixed_name, moving_name)
    stored = to_stored(field, fixed, moving)
    assert stored.shape == (3, *fixed.shape)
    assert_allclose(warp_image(moving.data, stored), moved.data, atol=1e-4)


@pytest.mark.parametrize(("fixed_name", "moving_name"), STORED)
def test_itk_file_is_applied_by_antspyx_as_it_is(tmp_path, fixed_name, moving_name):
    import ants

    fixed, moving, field, moved = stored_pair(fixed_name, moving_name)
    paths = [save_volume(v, tmp_path / f"{v.name}.nii.gz") for v in (fixed, moving)]
    warp = save_itk(field, fixed, reorient(moving).affine, tmp_path / "warp.nii.gz")
    images = [ants.image_read(str(path)) for path in paths]
    found = ants.apply_transforms(*images, [str(warp)], interpolator="linear").numpy()
    # antspyx keeps the axes of the file; beyond the edge of the moving array it and we differ.
    inside = (found > 0) & (moved.data > 0)
    assert inside.mean() > 0.1
    assert np.abs(found - moved.data)[inside].max() < 2e-3
    assert ((found > 0) != (moved.data > 0)).mean() < 0.02
