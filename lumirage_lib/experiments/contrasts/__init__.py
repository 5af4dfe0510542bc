"""Other contrasts: T2w, T2*w, FLAIR."""

from ..experiment import Experiment
from .analysis import analyse
from .plan import plan_contrasts

EXPERIMENT = Experiment(
    "03_contrasts",
    "Contrasts",
    plan_contrasts,
    analyse,
    lambda result: list(result.verdicts.values()),
)
