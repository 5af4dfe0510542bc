"""Linear mixed model of the difference, with crossed random effects of fixed and moving subject."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy

from ._design import Design, decompose, make_design
from ._pairs import Matched


@dataclass(frozen=True)
class VarianceComponents:
    """Where a difference between two methods varies, in squared units of the measure.

    Attributes
    ----------
    fixed, moving : float
        Between subjects in that role.
    residual : float
        Between pairs of the same subjects' effects.
    covariance : float
        Of the two effects of one subject; 0 where the model has none.
    """

    fixed: float
    moving: float
    residual: float
    covariance: float = 0.0


@dataclass(frozen=True)
class CrossedModel:
    """A fitted model; `converged` and `messages` belong to the result as much as the estimate does.

    Attributes
    ----------
    estimate, error, low, high : float
        Mean difference, its standard error and interval (Student's t, n_subjects - 1 degrees of
        freedom); NaN where the fit gave none.
    components : VarianceComponents
    converged : bool
    messages : tuple of str
        What the optimiser and the model warned of, such as a variance of zero.
    """

    estimate: float
    error: float
    low: float
    high: float
    level: float
    components: VarianceComponents
    converged: bool
    messages: tuple[str, ...]
    n_pairs: int
    n_subjects: int
    n_failed: int


def estimate_components(matched: Matched) -> VarianceComponents:
    """Variance components by fitting constants: no iteration, so nothing that can fail to converge.

    Unlike :func:`fit_crossed_model` it also estimates the covariance of a subject's two effects. A
    component that cannot be told from the residual (one pair per subject) is counted in the former;
    negative estimates are set to 0. Searle, Casella & McCulloch (1992), Variance Components, ch. 5.

    Raises
    ------
    InputError
        If no pair is left.
    """
    design = make_design(matched.fixed_subject, matched.moving_subject)
    parts = decompose(matched.difference, design)
    varies = [bool((role >= 0).any()) for role in (design.fixed, design.moving)]
    found = iter(parts.variances)
    fixed, moving = (next(found) if v else 0.0 for v in varies)
    return VarianceComponents(fixed, moving, parts.residual_variance, parts.covariance)


def fit_crossed_model(matched: Matched, *, level: float = 0.95) -> CrossedModel:
    """Fit difference = mean + fixed subject + moving subject + residual by REML.

    Random effects of the two roles are crossed and independent (statsmodels' MixedLM with variance
    components in one group). Baayen, Davidson & Bates (2008), J. Mem. Lang. 59:390, for crossed
    subjects; the roles of one subject being alike is left to
    :func:`compute_interval`.

    Parameters
    ----------
    matched : Matched

    Returns
    -------
    CrossedModel
        A role in which no subject appears twice cannot be told from the residual and is left out;
        its variance is NaN and a message says so. A fit that does not converge is returned with
        `converged` False, never replaced by another.

    Raises
    ------
    InputError
        If no pair is left.
    """
    # Here, because it takes longer to import than most commands take.
    from statsmodels.regression.mixed_linear_model import MixedLM

    design = make_design(matched.fixed_subject, matched.moving_subject)
    d = matched.difference
    unit = float(d.std()) or 1.0  # the optimiser's tolerances are absolute
    frame = pd.DataFrame({"d": d / unit, "everyone": 1})
    messages: list[str] = []
    formulas = {}
    for name, role in (("fixed", design.fixed), ("moving", design.moving)):
        n_levels = len(np.unique(role))
        if 1 < n_levels < design.n_pairs:
            frame[name] = role
            formulas[name] = f"0 + C({name})"
        elif n_levels > 1:
            messages.append(f"no {name} subject appears twice: its variance is in the residual")
    if d.std() == 0 or design.n_pairs < 3:
        messages.append("differences do not vary, or too few pairs: no model was fitted")
        return _make(matched, design, d.mean(), np.nan, level, {}, np.nan, False, messages)
    if not formulas:
        error = float(d.std(ddof=1) / np.sqrt(len(d)))
        return _make(matched, design, d.mean(), error, level, {}, d.var(ddof=1), True, messages)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model = MixedLM.from_formula("d ~ 1", frame, groups="everyone", vc_formula=formulas)
            fit = model.fit(reml=True, method=["lbfgs", "powell"])
        except (np.linalg.LinAlgError, ValueError) as error:
            messages.append(f"the fit failed: {error}")
            return _make(matched, design, np.nan, np.nan, level, {}, np.nan, False, messages)
    messages += dict.fromkeys(str(w.message) for w in caught)
    found = dict(zip(model.exog_vc.names, fit.vcomp * unit**2, strict=True))
    return _make(
        matched,
        design,
        float(fit.fe_params.iloc[0]) * unit,
        float(fit.bse_fe.iloc[0]) * unit,
        level,
        found,
        float(fit.scale) * unit**2,
        bool(fit.converged),
        messages,
    )


def _make(
    matched: Matched,
    design: Design,
    estimate: float,
    error: float,
    level: float,
    found: Mapping[str, float],
    residual: float,
    converged: bool,
    messages: Sequence[str],
) -> CrossedModel:
    half = scipy.stats.t.ppf((1 + level) / 2, max(design.n_subjects - 1, 1)) * error
    components = VarianceComponents(
        float(found.get("fixed", np.nan)), float(found.get("moving", np.nan)), float(residual)
    )
    return CrossedModel(
        float(estimate),
        float(error),
        float(estimate - half),
        float(estimate + half),
        level,
        components,
        converged,
        tuple(messages),
        matched.n_pairs,
        design.n_subjects,
        matched.n_failed,
    )
