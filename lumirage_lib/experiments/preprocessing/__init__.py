"""Notebook 05: what a change of the preprocessing costs each method."""

from ..experiment import Experiment
from .analysis import analyse
from .plan import plan_preprocessing

EXPERIMENT = Experiment(
    "05_preprocessing",
    "Preprocessing",
    plan_preprocessing,
    analyse,
    lambda result: list(result.verdicts.values()),
)
