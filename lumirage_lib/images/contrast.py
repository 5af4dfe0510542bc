"""The same anatomy in another MR contrast: signal equations over tissue fractions.

A voxel holds fractions of cerebrospinal fluid, grey and white matter; its signal is their mean, each
tissue's signal given by the sequence's equation. The fractions come from a tissue map, softened to the
width of a voxel, and from where the T1w intensity lies between the means of the tissues, so that what
the real image shows within a tissue (myelin, partial volume, the noise of the scan) is carried over.

Relaxation times at 1.5 and 3 T: T1 and T2 of grey and white matter from Stanisz et al. (2005), measured
in vitro on bovine tissue at 37 degrees; their T1 of grey matter is above most measurements in vivo. T2*
of cortical grey matter and of white matter from Peters et al. (2007), in vivo. CSF: T1 from Rooney et
al. (2007), who find it independent of the field; T2 as Spijkerman et al. (2018) measured it at 3 T,
about 2 s, also used at 1.5 T. No measurement of the T2* of CSF is used: as a free fluid it is taken as
long against the echo time. Proton densities from the BrainWeb simulations (Kwan et al. 1999). Tissues
are in the order of :data:`TISSUES` everywhere.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy

from ..errors import InputError
from .volumes import Volume, bounding_box

TISSUES = ("CSF", "grey matter", "white matter")  # labels 1, 2, 3 of a tissue map
EXCESS = 0.25  # how far a fraction read off the intensity may leave [0, 1]
GENERATOR = 1  # raised when the same seed gives another image


@dataclass(frozen=True, eq=False)
class Relaxation:
    """Relaxation times in ms and proton density, arrays over :data:`TISSUES`."""

    t1_ms: np.ndarray
    t2_ms: np.ndarray
    t2star_ms: np.ndarray
    density: np.ndarray


def _relaxation(t1: Sequence[float], t2: Sequence[float], t2star: Sequence[float]) -> Relaxation:
    return Relaxation(*(np.array(v, float) for v in (t1, t2, t2star, (1.0, 0.86, 0.77))))


RELAXATION: Mapping[float, Relaxation] = {
    1.5: _relaxation((4300, 1124, 884), (2000, 95, 72), (1000, 84.0, 66.2)),
    3.0: _relaxation((4300, 1820, 1084), (2000, 99, 69), (500, 66.0, 53.2)),
}


# ---- signal equations, arrays over tissues -------------------------------------------------------


def compute_mprage(
    tissue: Relaxation,
    *,
    tr_ms: float = 2300,
    ti_ms: float = 900,
    te_ms: float = 3,
    flip_deg: float = 9,
    echo_spacing_ms: float = 7,
    n_echoes: int = 176,
) -> np.ndarray:
    """Magnetisation-prepared rapid gradient echo at the centre of k-space, steady state.

    A perfect inversion, recovery, `n_echoes` pulses of `flip_deg` during which the magnetisation
    relaxes to that of the pulse train, recovery until the next inversion (Deichmann et al. 2000).
    The train is centred on `ti_ms`. With a vanishing flip angle the longitudinal magnetisation is that
    of inversion recovery, ``1 - 2 exp(-TI/T1) / (1 + exp(-TR/T1))``.
    """
    train = n_echoes * echo_spacing_ms
    before, after = ti_ms - train / 2, tr_ms - ti_ms - train / 2
    if before < 0 or after < 0:
        raise InputError(
            f"MPRAGE: {n_echoes} echoes of {echo_spacing_ms:g} ms do not fit around "
            f"TI {ti_ms:g} ms in TR {tr_ms:g} ms; take fewer or a longer TR"
        )
    flip = np.deg2rad(flip_deg)
    decay = np.exp(-echo_spacing_ms / tissue.t1_ms)
    per_echo = np.cos(flip) * decay
    train_state = (1 - decay) / (1 - per_echo)
    grown, regrown = np.exp(-before / tissue.t1_ms), np.exp(-after / tissue.t1_ms)
    # Mz before the inversion solves m = 1 - (1 - end(m)) regrown, which is linear in m.
    whole = per_echo**n_echoes
    end = train_state + (1 - grown - train_state) * whole
    start = (1 - regrown + end * regrown) / (1 + grown * whole * regrown)
    at_train = 1 - (1 + start) * grown
    at_centre = train_state + (at_train - train_state) * per_echo ** (n_echoes / 2)
    signal = tissue.density * np.abs(at_centre) * np.exp(-te_ms / tissue.t2star_ms)
    return np.asarray(signal * np.sin(flip))


def compute_tse(tissue: Relaxation, *, tr_ms: float = 5000, te_ms: float = 100) -> np.ndarray:
    """Turbo spin echo: ``PD (1 - exp(-TR/T1)) exp(-TE/T2)``, TE the effective echo time."""
    recovered = 1 - np.exp(-tr_ms / tissue.t1_ms)
    return np.asarray(tissue.density * recovered * np.exp(-te_ms / tissue.t2_ms))


def compute_gre(
    tissue: Relaxation, *, tr_ms: float = 700, te_ms: float = 30, flip_deg: float = 20
) -> np.ndarray:
    """Spoiled gradient echo (Ernst & Anderson 1966) with T2* decay."""
    flip, decay = np.deg2rad(flip_deg), np.exp(-tr_ms / tissue.t1_ms)
    steady = np.sin(flip) * (1 - decay) / (1 - np.cos(flip) * decay)
    return np.asarray(tissue.density * steady * np.exp(-te_ms / tissue.t2star_ms))


def compute_null_ms(t1_ms: float, tr_ms: float) -> float:
    """Inversion time at which a tissue gives no signal: ``T1 ln(2 / (1 + exp(-TR/T1)))``."""
    return float(t1_ms * np.log(2 / (1 + np.exp(-tr_ms / t1_ms))))


def compute_flair(
    tissue: Relaxation, *, tr_ms: float = 9000, te_ms: float = 120, ti_ms: float | None = None
) -> np.ndarray:
    """Inversion recovery turbo spin echo; by default `ti_ms` nulls CSF (Hajnal et al. 1992).

    ``PD |1 - 2 exp(-TI/T1) + exp(-TR/T1)| exp(-TE/T2)``.
    """
    ti_ms = compute_null_ms(tissue.t1_ms[0], tr_ms) if ti_ms is None else ti_ms
    recovered = 1 - 2 * np.exp(-ti_ms / tissue.t1_ms) + np.exp(-tr_ms / tissue.t1_ms)
    return np.asarray(tissue.density * np.abs(recovered) * np.exp(-te_ms / tissue.t2_ms))


CONTRASTS: Mapping[str, Callable[..., np.ndarray]] = {
    "T1w": compute_mprage,
    "T2w": compute_tse,
    "T2*w": compute_gre,
    "FLAIR": compute_flair,
}
INVERTED = "T1w inverted"


def compute_signals(contrast: str, field_t: float = 3.0) -> np.ndarray:
    """Signal of CSF, grey and white matter, the brightest 1.

    Raises
    ------
    InputError
        Unknown contrast, or a field strength without relaxation times.
    """
    if contrast not in CONTRASTS:
        raise InputError(f"contrast {contrast!r}: expected one of {', '.join(CONTRASTS)}")
    if field_t not in RELAXATION:
        known = " or ".join(f"{f:g}" for f in RELAXATION)
        raise InputError(f"field_t={field_t:g}: relaxation times are known at {known} T")
    signal = CONTRASTS[contrast](RELAXATION[field_t])
    return np.asarray(signal / signal.max())


# ---- fractions -----------------------------------------------------------------------------------


def compute_fractions(
    image: np.ndarray,
    tissues: np.ndarray,
    spacing_mm: Sequence[float],
    *,
    blur_mm: float = 0.6,
    texture: float = 0.5,
) -> np.ndarray:
    """How much of each tissue a voxel holds.

    Parameters
    ----------
    image : ndarray, shape (X, Y, Z)
        T1w intensities, CSF darker than grey than white matter.
    tissues : ndarray of int, shape (X, Y, Z)
        1 CSF, 2 grey matter, 3 white matter, 0 outside.
    spacing_mm : sequence of three float
    blur_mm : float
        Sigma of the Gaussian that softens the map; 0.6 mm spreads a border over about a voxel of 1 mm.
    texture : float
        Share of the T1w intensity in the fractions, the rest is the softened map.

    Returns
    -------
    ndarray of float32, shape (3, X, Y, Z)
        Sums to 1 inside the map and is 0 outside. A voxel darker than CSF or brighter than white
        matter has a fraction beyond [0, 1], by at most `texture` times :data:`EXCESS`: texture
        within a tissue goes both ways.

    Raises
    ------
    InputError
        A tissue is missing, or the intensities of the three are not in the order of T1w.
    """
    brain = tissues > 0
    sigma = blur_mm / np.asarray(spacing_mm, float)
    soft = np.stack(
        [scipy.ndimage.gaussian_filter((tissues == t).astype(np.float32), sigma) for t in (1, 2, 3)]
    )
    soft *= brain / np.maximum(soft.sum(axis=0), 1e-6)
    if not texture:
        return soft
    counts = [int((tissues == t).sum()) for t in (1, 2, 3)]
    if 0 in counts:
        raise InputError(f"the tissue map has {counts} voxels of {', '.join(TISSUES)}: all needed")
    csf, grey, white = (float(np.median(image[tissues == t])) for t in (1, 2, 3))
    if not csf < grey < white:
        raise InputError(
            f"median intensities of {', '.join(TISSUES)} are {csf:g}, {grey:g}, {white:g}: "
            "expected them to rise, as in a T1w image"
        )
    beyond = EXCESS * np.array([grey - csf, white - grey])
    ends = [csf - beyond[0], csf, grey, white, white + beyond[1]]
    place = np.interp(image, ends, [-EXCESS, 0, 1, 2, 2 + EXCESS]).astype(np.float32)
    darker, brighter = np.minimum(place - 1, 0), np.maximum(place - 1, 0)
    seen = np.stack([-darker, 1 + darker - brighter, brighter])
    return ((1 - texture) * soft + texture * seen * brain).astype(np.float32)


# ---- images --------------------------------------------------------------------------------------


def make_rng(seed: int, *names: str) -> np.random.Generator:
    """Generator that depends on the seed and on every name (scan, condition), and on nothing else."""
    return np.random.default_rng([GENERATOR, seed, *(zlib.crc32(n.encode()) for n in names)])


def degrade(
    image: np.ndarray,
    rng: np.random.Generator,
    *,
    spacing_mm: Sequence[float],
    bias: float = 0.05,
    noise: float = 0.02,
) -> np.ndarray:
    """Multiply by a smooth bias field and add Rician noise (Gudbjartsson & Patz 1995).

    Parameters
    ----------
    image : ndarray
        Signal, about 1 at its brightest; voxels that are 0 stay 0 (no brain).
    bias : float
        Standard deviation of the log of the field, which varies over about 60 mm.
    noise : float
        Standard deviation of the noise in either channel.
    """
    coarse = [max(2, round(n * s / 60) + 2) for n, s in zip(image.shape, spacing_mm, strict=True)]
    field = scipy.ndimage.zoom(
        rng.standard_normal(coarse),
        np.divide(image.shape, coarse),
        order=3,
        mode="nearest",
        grid_mode=True,
    )
    inside = image > 0
    values = field[inside]
    field = (field - values.mean()) / max(values.std(), 1e-9)
    real, imaginary = rng.normal(0, noise, (2, *image.shape))
    noisy = np.hypot(image * np.exp(bias * field) + real, imaginary)
    return np.where(inside, noisy, 0).astype(np.float32)


def synthesise(
    t1: Volume,
    tissues: Volume,
    contrast: str,
    *,
    rng: np.random.Generator,
    dose: float = 1.0,
    field_t: float = 3.0,
    texture: float = 0.5,
    bias: float = 0.05,
    noise: float = 0.02,
) -> Volume:
    """The anatomy of a T1w image as another sequence would show it.

    Parameters
    ----------
    t1 : Volume
        Skull-stripped T1w image.
    tissues : Volume
        Tissue map on the same grid, see :func:`compute_fractions`.
    contrast : str
        One of :data:`CONTRASTS`, or "T1w inverted": every edge where it was, dark for bright.
    dose : float
        0 is the real T1w image, 1 the contrast, between them their weighted mean; bias field and noise
        are the same for every dose.
    field_t : float
        1.5 or 3.

    Returns
    -------
    Volume
        Same grid; 0 where the T1w image or the map is; the brightest tissue about 1.
    """
    if not 0 <= dose <= 1:
        raise InputError(f"dose={dose}: expected 0 (T1w) to 1 ({contrast})")
    if t1.shape != tissues.shape:
        raise InputError(
            f"{t1.name}: shape {t1.shape}, its tissue map {tissues.shape}: not one grid"
        )
    brain = (t1.data > 0) & (tissues.data > 0)
    start, shape = bounding_box(brain)
    box = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
    image, labels = t1.data[box].astype(np.float32), np.where(brain, tissues.data, 0)[box]
    real = np.clip(image / np.percentile(image[labels > 0], 99), 0, 1.5)
    if contrast == INVERTED:
        new = np.clip(1.1 - real, 0.02, None)
    else:
        fractions = compute_fractions(image, labels, t1.spacing_mm, texture=texture)
        new = np.tensordot(compute_signals(contrast, field_t), fractions, axes=1)
    mixed = np.where(labels > 0, np.maximum((1 - dose) * real + dose * new, 1e-6), 0)
    out = np.zeros(t1.shape, np.float32)
    out[box] = degrade(mixed, rng, spacing_mm=t1.spacing_mm, bias=bias, noise=noise)
    return replace(t1, data=out, name=f"{t1.name} {contrast}")
