"""How differences are tested."""

from ..experiment import Experiment
from ..pairs import plan_pairs
from .analysis import analyse

EXPERIMENT = Experiment(
    "08_statistics",
    "Statistics",
    plan_pairs,
    analyse,
)
