"""Notebook 07: one difference, two effect sizes; on the IXI results of others."""

from ..experiment import Experiment
from .analysis import analyse

EXPERIMENT = Experiment(
    "07_effect_sizes",
    "Effect sizes",
    lambda parameters: [],  # draws on published tables of others
    analyse,
)
