"""Do no harm: what a registration invents, and what it misses."""

from ..experiment import Experiment
from .analysis import analyse
from .plan import plan_harm

EXPERIMENT = Experiment(
    "09_do_no_harm",
    "Do no harm",
    plan_harm,
    analyse,
)
