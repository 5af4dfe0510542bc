"""What makes a network lose: one architecture, trained in five ways."""

from ..experiment import Experiment
from .analysis import analyse
from .plan import plan_cause

EXPERIMENT = Experiment("10_cause", "What makes a network lose?", plan_cause, analyse)
