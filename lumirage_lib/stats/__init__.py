"""Statistics of registration experiments: tables in, numbers and sentences out.

A table has one row per registration; a subject may take part in many pairs, as fixed or moving. All
intervals and tests treat the subjects, not the pairs, as what was sampled.
"""

from ._claims import (
    GAINS_OPEN,
    INCOMPLETE,
    LABELS_DECIDE,
    LEAST_SUBJECTS,
    LOSES_OPEN,
    NOT_DECIDABLE,
    NOT_JUDGED,
    NOT_SUPPORTED,
    NOT_TESTED,
    SUPPORTED,
    UNDECIDED,
    Claim,
    Verdict,
    adjust_verdicts,
    agree_on_labels,
    combine,
    decide,
    find_word,
    not_tested,
    say_few,
    set_aside,
)
from ._design import count_subjects
from ._effects import EffectSizes, compute_effect_sizes
from ._intervals import Interval, as_row, compute_interval
from ._mixed import CrossedModel, VarianceComponents, estimate_components, fit_crossed_model
from ._pairs import Matched, is_error, match_changes, match_conditions, match_pairs
from ._power import compute_detectable_effect, compute_power, plan_subjects
from ._sentences import count, join
from ._specifications import compute_specifications, summarise_specifications
from ._statistics import STATISTICS, cliffs_delta, d_av, d_z, hedges_factor, mean_difference
from ._summary import compute_drops, compute_worst, summarise, summarise_drops
from ._tests import control_false_discoveries, holm, sign_flip_subjects, tost

__all__ = [
    "GAINS_OPEN",
    "INCOMPLETE",
    "LABELS_DECIDE",
    "LEAST_SUBJECTS",
    "LOSES_OPEN",
    "NOT_DECIDABLE",
    "NOT_JUDGED",
    "NOT_SUPPORTED",
    "NOT_TESTED",
    "STATISTICS",
    "SUPPORTED",
    "UNDECIDED",
    "Claim",
    "CrossedModel",
    "EffectSizes",
    "Interval",
    "Matched",
    "VarianceComponents",
    "Verdict",
    "adjust_verdicts",
    "agree_on_labels",
    "as_row",
    "cliffs_delta",
    "combine",
    "compute_detectable_effect",
    "compute_drops",
    "compute_effect_sizes",
    "compute_interval",
    "compute_power",
    "compute_specifications",
    "compute_worst",
    "control_false_discoveries",
    "count",
    "count_subjects",
    "d_av",
    "d_z",
    "decide",
    "estimate_components",
    "find_word",
    "fit_crossed_model",
    "hedges_factor",
    "holm",
    "is_error",
    "join",
    "match_changes",
    "match_conditions",
    "match_pairs",
    "mean_difference",
    "not_tested",
    "plan_subjects",
    "say_few",
    "set_aside",
    "sign_flip_subjects",
    "summarise",
    "summarise_drops",
    "summarise_specifications",
    "tost",
]
