"""LKU-Net with the weights of its authors, trained on IXI."""

from ..base import Training
from .base import declare

WRAPPER = 1  # raised when the network or its use changes what comes out, and with it every key

# 99th percentile of the foreground of FreeSurfer's norm.mgz over 255, mean of two brains of IXI
# (mattkia/SGDIR): so its training images are scaled.
IXI_P99 = 0.44

SPECS = (
    declare(
        "lkunet",
        "LKU-Net",
        "#117733",
        WRAPPER,
        "jia2022lkunet",
        (
            "xi-jia/LKU-Net",
            "LKU-Net_3D_IXI/L2ss_2_Chan_4_LR_0.0001_Smooth_5.0/DiceVal_0.7411_Epoch_0879.pth",
        ),
        Training(
            "403 T1w scans of IXI, prepared by FreeSurfer; one atlas is an image of every pair",
            "the authors' training script reads the Train folder of the IXI data published with "
            "TransMorph, 403 of its 576 scans",
            {"ixi": "very probably seen", "chen2025lumir": "unknown"},
        ),
        intensity=IXI_P99,
    ),
)
