"""Macaque brains."""

from ..experiment import Experiment
from .analysis import analyse
from .plan import plan_macaque

EXPERIMENT = Experiment(
    "02_macaque",
    "Macaque",
    plan_macaque,
    analyse,
    lambda result: list(result.verdicts.values()),
)
