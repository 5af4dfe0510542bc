# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # One difference, two effect sizes
#
# **Question.** How can the same difference between two registration methods be reported as small and
# as large?

# %% tags=["parameters"]
profile: str = "open"  # column of experiments.yml these values come from
first: str = "SITReg"  # a method of the table; positive differences are in its favour
second: str = "VFA"  # the method it is compared with
margin: float = 0.01  # mean Dice difference within which two methods count as equal
seed: int = 0  # of the shuffle in the exercise

# %% tags=["setup", "hide-input"]
from lumirage_lib.book import pages
from lumirage_lib.experiments import EXPERIMENTS, load
from lumirage_lib.experiments.effect_sizes import figures as draw

NOTEBOOK = "07_effect_sizes"
parameters = pages.gather(NOTEBOOK, globals())
result = EXPERIMENTS[NOTEBOOK].analyse(load(NOTEBOOK, parameters), parameters)
here = f"07-{profile}"

# %% tags=["remove-input"]
pages.say_headline(result.opening)

# %% tags=["hide-input"]
pages.show(
    draw.plot_spreads(result.matched, first, second),
    f"fig-{here}-spreads",
    f"Above: mean Dice of every subject by {first} and by {second}; vertical lines are means. Below: "
    f"difference of the two in the same subject, drawn to the same scale; {result.design}",
    f"Two broad histograms that overlap almost wholly, and one narrow. {result.spread_text}",
)

# %% tags=["remove-input"]
pages.say_points(result.opening)

# %% [markdown]
# ```{admonition} Before you read
# :class: dropdown
# Why differences between methods are so much more regular than the methods' results; what the paired
# and the pooled formula divide by; and which of them to quote. You should know what a mean and a
# standard deviation are, and the Dice coefficient (see the [protocol](../protocol.md)). Runs in
# seconds, without any image.
# ```

# %% tags=["remove-input"]
pages.say(result.data_text)

# %% [markdown]
# ## Subjects differ more than methods
#
# Every point is one subject, registered by both methods.

# %% tags=["hide-input"]
pages.show(
    draw.plot_agreement(result.matched, first, second),
    f"fig-{here}-agreement",
    f"Mean Dice of every subject by {first} against {second}; {result.design} Points above the line: "
    f"{first} is better.",
    f"Scatter plot along the diagonal. {result.agreement_text}",
)

# %% tags=["remove-input"]
pages.say(result.agreement_text)

# %% [markdown]
# ## What cancels in pairs
#
# An effect size is a mean difference divided by a spread. The formulas differ in the spread:
#
# <math display="block"><mrow><msub><mi>d</mi><mi>av</mi></msub><mo>=</mo><mfrac><mrow><mover><mi>a</mi><mo>¯</mo></mover><mo>−</mo><mover><mi>b</mi><mo>¯</mo></mover></mrow><msqrt><mrow><mo>(</mo><msubsup><mi>s</mi><mi>a</mi><mn>2</mn></msubsup><mo>+</mo><msubsup><mi>s</mi><mi>b</mi><mn>2</mn></msubsup><mo>)</mo><mo>/</mo><mn>2</mn></mrow></msqrt></mfrac></mrow></math>
#
# <math display="block"><mrow><msub><mi>d</mi><mi>z</mi></msub><mo>=</mo><mfrac><mover><mrow><mi>a</mi><mo>−</mo><mi>b</mi></mrow><mo>¯</mo></mover><msub><mi>s</mi><mrow><mi>a</mi><mo>−</mo><mi>b</mi></mrow></msub></mfrac></mrow></math>
#
# where *a* and *b* are the results of the two methods, a bar is a mean over subjects and *s* a standard
# deviation over them.

# %% tags=["remove-input"]
pages.say(result.spread_text)

# %% [markdown]
# ## Every effect size, side by side
#
# Hedges' factor takes out the bias of small samples. Cliff's delta is the chance that a subject drawn
# for the first method scores above one drawn for the second, minus the reverse: it ignores the pairs
# as the pooled formula does. Formulas and sources are in the docstrings of `lumirage_lib.stats`.

# %% tags=["remove-input"]
pages.say(result.sizes_table)

# %% [markdown]
# ## What turns one into the other
#
# With equal spreads, the two are tied by the correlation *r* of the methods over subjects alone:
# d<sub>z</sub> = d<sub>av</sub> / √(2 (1 − r)).

# %% tags=["hide-input"]
pages.show(
    draw.plot_correlation_effect(result.sizes),
    f"fig-{here}-correlation",
    "Effect size of one mean difference by both formulas, for every correlation the two methods could "
    f"have had over subjects; the point is the measured one. {result.design}",
    f"A curve that rises steeply towards correlation one. {result.correlation_text}",
)

# %% tags=["remove-input"]
pages.say(result.correlation_text)

# %% [markdown]
# ## Every two methods

# %% tags=["hide-input"]
pages.show(
    draw.plot_both_formulas(result.comparisons),
    f"fig-{here}-comparisons",
    f"Mean difference (left) and both effect sizes (right) of every two methods; {result.design} Bars: "
    "95 % intervals over subjects, not corrected for multiplicity.",
    f"Bar chart and forest plot of all comparisons. {result.comparisons_text}",
)

# %% tags=["remove-input"]
pages.say(result.comparisons_text)

# %% [markdown]
# ## Twenty-four methods, one atlas
#
# The same comparison, wider. Do networks lead on T1w brains?

# %% tags=["remove-input"]
pages.say(result.joint_text)

# %% tags=["hide-input"]
from lumirage_lib.experiments.effect_sizes.tables import load_joint

pages.show(
    draw.plot_all_methods(load_joint()),
    f"fig-{here}-methods",
    f"Mean Dice of every method over the same subjects, structures that all have; {result.design}",
    f"Dot plot of all methods. {result.baselines_text}",
)

# %% tags=["remove-input"]
pages.say(result.baselines_text)
pages.say(result.baselines_table)

# %% [markdown]
# ### Two iterative methods, a huge effect

# %% tags=["remove-input"]
pages.say(result.iterative_text)

# %% [markdown]
# ### A comparison that no leak can explain

# %% tags=["remove-input"]
pages.say(result.leak_free_text)
pages.say(result.leak_free_table)

# %% [markdown]
# ## Which to quote
#
# - *Is the difference real, and how many subjects does it take to see it?* The paired one: it is the
#   test statistic without the sample size.
# - *Does it matter beside how much subjects differ?* The pooled one, whose unit stays the same when
#   another method is compared on the same population.
# - *Does it matter at all?* Neither. That is a question about Dice, to be asked with a margin that was
#   fixed before:

# %% tags=["remove-input"]
pages.say(result.verdict.sentence)
pages.say(result.power_text)

# %% [markdown]
# This book therefore gives the difference in the units of the measure first, and both effect sizes
# together wherever it gives one.

# %% [markdown]
# ## What could overturn this
#
# One atlas was registered to all subjects: the intervals hold for that atlas, not for atlases. A
# subject's mean over structures hides that structures may go opposite ways. Structures absent from
# some subjects are left out, so these means are not those of the tables' authors. The words "small"
# and "large" are Cohen's, made for groups of different people; for paired data they promise too much. VFA was trained
# on other scans of IXI, so it has not seen these subjects, but it is at home; ConvexAdam compares images at 2 voxels, so the two
# do not work on one grid, which [rule 2](../rules.md) asks of a verdict.

# %% [markdown]
# ## Exercise
#
# Shuffle the subjects of the second method, so that each is compared with somebody else. Which effect
# size changes, and to what? Guess before you look.
#
# ```{admonition} A solution
# :class: dropdown
# Means and spreads of either method stay as they are, so the pooled effect size does. The pairs no
# longer share a brain, the correlation falls to about zero, and the paired effect size falls below
# the pooled:
# ```

# %% tags=["hide-cell"]
import dataclasses

import numpy as np

from lumirage_lib import stats

rng = np.random.default_rng(seed)
shuffled = dataclasses.replace(result.matched, second=rng.permutation(result.matched.second))
after = stats.compute_effect_sizes(shuffled)
{
    "pooled": [round(s.d_av.estimate, 2) for s in (result.sizes, after)],
    "paired": [round(s.d_z.estimate, 2) for s in (result.sizes, after)],
    "correlation": [round(s.correlation, 2) for s in (result.sizes, after)],
}

# %% [markdown]
# ## How this page was made

# %% tags=["making", "remove-input"]
sizes = result.sizes.as_table()
pages.show_making(
    NOTEBOOK,
    parameters,
    {"sizes": sizes, "comparisons": result.comparisons, "baselines": result.baselines},
)
