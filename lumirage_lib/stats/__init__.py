"""Statistics of registration experiments: tables in, numbers and sentences out.

A table has one row per registration; a subject may take part in many pairs, as fixed or moving. All
intervals and tests treat the subjects, not the pairs, as what was sampled.
"""

from ._bootstrap import Interval, bootstrap_subjects
from ._claims import Claim, Verdict, adjust_verdicts, decide
from ._effects import EffectSizes, compute_effect_sizes
from ._mixed import CrossedModel, VarianceComponents, estimate_components, fit_crossed_model
from ._pairs import Matched, is_error, match_changes, match_conditions, match_pairs
from ._power import compute_detectable_effect, compute_power, plan_subjects
from ._sentences import count, join
from ._simulate import draw_pairs, simulate_differences, simulate_pairs
from ._statistics import STATISTICS, cliffs_delta, d_av, d_z, hedges_factor, mean_difference
from ._summary import compute_drops, compute_worst, summarise, summarise_drops
from ._tests import Equivalence, compare_changes, holm, sign_flip_subjects, tost

__all__ = [
    "STATISTICS",
    "Claim",
    "CrossedModel",
    "EffectSizes",
    "Equivalence",
    "Interval",
    "Matched",
    "VarianceComponents",
    "Verdict",
    "adjust_verdicts",
    "bootstrap_subjects",
    "cliffs_delta",
    "compare_changes",
    "compute_detectable_effect",
    "compute_drops",
    "compute_effect_sizes",
    "compute_power",
    "compute_worst",
    "count",
    "d_av",
    "d_z",
    "decide",
    "draw_pairs",
    "estimate_components",
    "fit_crossed_model",
    "hedges_factor",
    "holm",
    "is_error",
    "join",
    "match_changes",
    "match_conditions",
    "match_pairs",
    "mean_difference",
    "plan_subjects",
    "sign_flip_subjects",
    "simulate_differences",
    "simulate_pairs",
    "summarise",
    "summarise_drops",
    "tost",
]
