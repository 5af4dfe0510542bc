"""T1w: are networks and iterative methods equally accurate?"""

from ..experiment import Experiment
from ..pairs import plan_pairs
from .analysis import analyse

EXPERIMENT = Experiment(
    "01_in_distribution",
    "In distribution",
    plan_pairs,
    analyse,
    lambda result: [result.verdict],
)
