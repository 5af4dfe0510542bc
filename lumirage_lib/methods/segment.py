"""Tissue of one brain by brainchop's network: 18 classes on the image's own grid.

The stand-in here for SynthSeg, with which the paper labelled its contrasts. It was trained on T1w and
knows nothing else: on T2w it finds lateral ventricles nearly twice their size
(benchmarks/segmenter.py), which is the point of asking it.
"""

import numpy as np

from ..cohorts.segmented import segmenter_weights
from ..cohorts.sources import fetch
from ..errors import InputError
from ..images.volumes import Volume, bounding_box, resample, round_up, window

SIDE = 256  # of the frame, voxels of 1 mm
QUANTILES = (0.02, 0.98)  # of the whole frame, scaled to 0 and 1
# The whole frame takes twice as long and is no closer to FreeSurfer (benchmarks/segmenter.py).
MARGIN = 32
LIA = np.array([[-1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


def conform(volume: Volume) -> Volume:
    """The image in a frame of 256^3 voxels of 1 mm in LIA, centred on the image, scaled to [0, 1].

    Raises
    ------
    InputError
        The frame would cut off brain (> 0), or nothing in it differs from the rest.
    """
    centre = volume.affine @ [*((np.array(volume.shape) - 1) / 2), 1]
    affine = LIA.copy()
    affine[:3, 3] = centre[:3] - LIA[:3, :3] @ np.full(3, (SIDE - 1) / 2)
    corners = np.argwhere(volume.data > 0)
    framed = resample(volume, affine, (SIDE,) * 3)
    if len(corners):
        to_frame = np.linalg.inv(affine) @ volume.affine
        at = corners @ to_frame[:3, :3].T + to_frame[:3, 3]
        if at.min() < -0.5 or at.max() > SIDE - 0.5:
            raise InputError(
                f"{volume.name}: the head reaches {np.ptp(at, axis=0).max():.0f} mm, or lies off the "
                f"centre of its image; expected it within {SIDE} mm around the centre: crop the image"
            )
    low, high = np.quantile(framed.data, QUANTILES)
    if high <= low:
        raise InputError(
            f"{volume.name}: 96 % of the {SIDE} mm frame have one value ({low:g}); is it an image?"
        )
    scaled = np.clip((framed.data - low) / (high - low), 0, 1).astype(np.float32)
    return Volume(scaled, affine, volume.name)


def segment(volume: Volume, margin: int = MARGIN) -> np.ndarray:
    """Classes of :func:`lumirage_lib.cohorts.segmented.tissue_table` for every voxel of an image.

    Parameters
    ----------
    volume : Volume
        One brain without skull, background 0, any grid and orientation.
    margin : int
        Voxels of background around the brain that the network is shown; `SIDE` is the whole frame.

    Returns
    -------
    ndarray of uint8, shape (X, Y, Z)
        0 to 17 on the grid of `volume`, each voxel with the label of the nearest of the frame's.

    Raises
    ------
    InputError
        The image does not fit the frame, or is empty.
    """
    import torch

    from .networks import load_weights
    from .networks.tissue import make_tissue_network

    # Channels last, dilated convolutions take a third of the time (benchmarks/segmenter.py).
    network = make_tissue_network()
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    load_weights(network, fetch(segmenter_weights(), quiet=True))
    framed = conform(volume)
    start, shape = bounding_box(framed.data > 0, margin)
    stop = np.minimum(round_up(start + shape, 2), SIDE)
    start = np.maximum(start // 2 * 2, 0)
    seen = window(framed, start, stop - start)
    with torch.inference_mode():
        logits = network(torch.from_numpy(seen.data)[None, None])[0]
    labels = Volume(logits.argmax(0).to(torch.uint8).numpy(), seen.affine, volume.name)
    return resample(labels, volume.affine, volume.shape, order=0, fill=0).data
