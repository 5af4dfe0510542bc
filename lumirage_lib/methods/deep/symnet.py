"""SYMNet with the weights of its authors."""

from ..base import Training
from .base import declare

WRAPPER = 1  # raised when the network or its use changes what comes out, and with it every key

SPECS = (
    declare(
        "symnet",
        "SYMNet",
        "#009E73",
        WRAPPER,
        "mok2020symnet",
        (
            "cwmok/Fast-Symmetric-Diffeomorphic-Image-Registration-with-"
            "Convolutional-Neural-Networks",
            "Model/SYMNet_neurite_oasis_smo30_update_80000.pth",
        ),
        Training(
            "OASIS-1 T1w, up to 414 scans, as preprocessed by neurite-oasis (skull-stripped, affine)",
            "the name of the checkpoint says neurite_oasis; which of its scans is not stated",
            {"marcus2007": "very probably seen", "hoopes2021": "very probably seen"},
        ),
    ),
)
