"""One function per figure: tidy table in, matplotlib figure out."""

from .accuracy import plot_cost, plot_dice_by_method, plot_structure_differences
from .contrasts import plot_changes, plot_contrast_dice, plot_doses, plot_group_changes, plot_levels
from .intervals import plot_comparisons
from .panels import load_slices, plot_panel
from .rulers import plot_ranks
from .style import use_style
from .training import plot_training

__all__ = [
    "load_slices",
    "plot_changes",
    "plot_comparisons",
    "plot_contrast_dice",
    "plot_cost",
    "plot_dice_by_method",
    "plot_doses",
    "plot_group_changes",
    "plot_levels",
    "plot_panel",
    "plot_ranks",
    "plot_structure_differences",
    "plot_training",
    "use_style",
]
