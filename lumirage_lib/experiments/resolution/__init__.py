"""Notebook 04: what memory a resolution takes, and what accuracy it gives."""

from ..experiment import Experiment
from .analysis import analyse
from .plan import plan_resolution

EXPERIMENT = Experiment(
    "04_resolution",
    "Resolution",
    plan_resolution,
    analyse,
    lambda result: list(result.verdicts.values()),
)
