"""The same registrations under many rulers."""

from ..experiment import Experiment
from .analysis import analyse
from .plan import plan_rulers

EXPERIMENT = Experiment(
    "06_label_protocol",
    "Label protocol",
    plan_rulers,
    analyse,
)
