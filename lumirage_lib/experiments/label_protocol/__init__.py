"""The same registrations under many rulers."""

from ..experiment import Experiment
from ..pairs import plan_pairs
from .analysis import analyse

EXPERIMENT = Experiment(
    "06_label_protocol",
    "Label protocol",
    plan_pairs,
    analyse,
)
