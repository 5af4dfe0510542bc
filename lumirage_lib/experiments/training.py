"""What is left beside trained weights: the model card and the curves."""

from pathlib import Path

import pandas as pd

from ..cohorts import Cohort
from ..files import replacing
from ..methods import colour_of
from ..runs.machine import hardware
from .style import subplots


def write_card(out: Path, cohort: Cohort) -> Path:
    """Write the model card of the run in the folder `out`, of the machine that this process runs on."""
    import torch

    from ..methods.training.card import make_card

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else hardware()
    n = torch.get_num_threads()
    environment = {
        "hardware": f"{device}, {n} thread{'s' if n > 1 else ''}, shared with other work",
        "software": f"torch {torch.__version__}",
    }
    card = out / "vfa.md"
    with replacing(card) as part:
        part.write_text(make_card(out, cohort, environment), encoding="utf-8")
    return card


def plot_training(curves: pd.DataFrame, window: int = 25):
    """Local correlation while training, on fitted and on held-out scans, and how much folds.

    Parameters
    ----------
    curves : DataFrame
        One row per iteration: iteration, correlation, and where validated also
        held_out_correlation, held_out_correlation_before and held_out_folded_percent, as
        `lumirage train` writes them. A run without validation has the first panel's line only.
    window : int
        Iterations over which the line of the fitted scans is averaged; single ones are dots.
    """
    fitted, held_out = colour_of("lapirn-disp"), colour_of("greedy")
    figure, (upper, lower) = subplots(2, 1, figsize=(7.2, 4.6), sharex=True, height_ratios=(2.2, 1))
    x = curves["iteration"]
    upper.plot(x, curves["correlation"], ".", color=fitted, alpha=0.15, ms=3)
    mean = curves["correlation"].rolling(window, min_periods=1, center=True).mean()
    upper.plot(x, mean, color=fitted, label="fitted scans, augmented")
    if "held_out_correlation" in curves:
        known = curves.dropna(subset="held_out_correlation")
        upper.plot(
            known["iteration"],
            known["held_out_correlation"],
            "o-",
            ms=3.5,
            color=held_out,
            label="held-out scans",
        )
        before = known["held_out_correlation_before"].iloc[-1]
        upper.axhline(before, ls=":", color=held_out, label="held-out scans, affine only")
        lower.plot(
            known["iteration"], known["held_out_folded_percent"], "o-", ms=3.5, color=held_out
        )
    upper.set_ylabel("squared local correlation")
    upper.legend(loc="lower right")
    lower.set_ylabel("folded voxels, %")
    lower.set_ylim(bottom=0)
    lower.set_xlabel("iteration")
    return figure
