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
# # Statistics
#
# **Question.** Which differences between methods does the run of notebook 01 establish, how are they
# tested, and how many subjects would a study need?

# %% tags=["parameters"]
profile: str = "open"  # column of experiments.yml these values come from
cohort: str = "oasis"  # whose brains: template (generated) or oasis (30 real T1w scans)
spacing_mm: float = 2.0  # voxel size of the generated cohort; real cohorts keep their own
n_subjects: int = 5  # subjects of the generated cohort
n_pairs: int = 20  # ordered pairs, every subject equally often fixed and moving
rescan: bool = False  # second scans of a subject are not compared here
methods: list = ["affine", "syn", "greedy"]  # names in the registry, or module:attribute
limits: dict = {}  # method -> number of pairs, for methods too slow for all
alpha: float = 0.05  # level of the family of tests
n_panels: int = 1  # pairs of which slices are kept for pictures
seed: int = 0  # of the pair design and the resampling
jobs: int = 0  # registrations at a time; 0: one per core

# %% tags=["setup", "hide-input"]
import scipy

from lumirage_lib.book import pages
from lumirage_lib.experiments import EXPERIMENTS, load_or_compute
from lumirage_lib.experiments.statistics import figures

NOTEBOOK = "08_statistics"
parameters = pages.gather(NOTEBOOK, globals())
run = load_or_compute(NOTEBOOK, parameters)
result = EXPERIMENTS[NOTEBOOK].analyse(run, parameters)
here = f"08-{profile}"

# %% tags=["remove-input"]
pages.say_headline(result.opening)

# %% tags=["hide-input"]
pages.show(
    figures.plot_comparisons(result.comparisons),
    f"fig-{here}-comparisons",
    f"Difference in mean Dice of every two methods, with {100 * (1 - alpha):.0f} % intervals "
    f"over subjects, each alone. {result.design} Filled: clear of 0 after Holm's correction for all of them.",
    f"Forest plot of all pairwise differences between methods. {result.opening.headline}",
)

# %% tags=["remove-input"]
pages.say_points(result.opening)

# %% [markdown]
# ```{admonition} Before you read
# :class: dropdown
# Intervals and tests that treat subjects, not pairs, as what was sampled; the proof by simulation
# that they hold their level; and a table for planning a study. You should know what a confidence
# interval is. Runs in seconds: nothing is registered again.
# ```

# %% [markdown]
# ## Why not a t-test over pairs
#
# Ten subjects give ninety ordered pairs, but not ninety independent observations: a subject with an
# unusual brain lowers every pair it is in. A t-test over pairs counts it many times and its intervals
# are too short. Here the variance of a mean is split into what a subject brings in one role, how far its
# two roles go together, and the noise of a pair; the three are estimated without bias from sums of
# squares over pairs that share a subject, and Student's t gets the degrees of freedom that such an
# estimate has (formulas in the docstrings of `lumirage_lib.stats`).
#
# The simulation takes the very pairs of every design in use, draws subjects with known effects, Gaussian
# or from what the published run left over, and counts how often an interval contains the truth.

# %% tags=["remove-input"]
names = {"least": "interval in use, least", "least_over_pairs": "interval over pairs, least"}
pages.say(
    pages.to_table(None if result.coverage is None else result.coverage.rename(columns=names))
)

# %% [markdown]
# ## Every difference, as one family

# %% tags=["remove-input"]
pages.say(result.comparison_table)

# %% [markdown]
# ## Robust summaries
#
# The worst 30 % are the lowest Dice values: a quantile taken without regard to the direction would
# show the best 30 % of an error.

# %% tags=["remove-input"]
pages.say(result.summary_table)

# %% [markdown]
# ## Where differences vary
#
# Variance components of each difference (as standard deviations, in Dice), and the linear mixed model
# with crossed random effects of fixed and moving subject.

# %% tags=["remove-input"]
pages.say(result.model_text)

# %% [markdown]
# ## How many subjects a study needs
#
# To see a difference four times in five among as many comparisons, at the first step of Holm's correction, from
# the median variance components. One difference alone takes fewer.

# %% tags=["remove-input"]
pages.say(result.power_table)

# %% [markdown]
# ## What could overturn this
#
# Intervals over few subjects lean on the model that subject effects add up; the simulation tests that
# model's own data, and some that depart from it, not every kind of data. Variance components from one
# cohort and one label protocol need not hold for another.

# %% [markdown]
# ## Exercise
#
# Take the difference of the first two methods in the table above and compute the usual paired t
# interval over pairs. How much shorter is it than the one drawn, and what does that claim?
#
# ```{admonition} A solution
# :class: dropdown
# The paired t interval divides the standard deviation by the square root of the number of pairs, as
# if every pair brought a new brain:
# ```

# %% tags=["hide-cell"]
first, second = result.comparisons.loc[0, ["first", "second"]]
between = run.registrations.query("kind == 'between'")
wide = between.pivot_table("dice", ["fixed", "moving"], "method")
difference = (wide[first] - wide[second]).dropna()
reach = scipy.stats.t.ppf(0.975, len(difference) - 1)
naive = 2 * reach * difference.std() / len(difference) ** 0.5
drawn = result.comparisons.loc[0, "high"] - result.comparisons.loc[0, "low"]
{"naive width": round(float(naive), 4), "width over subjects": round(float(drawn), 4)}

# %% [markdown]
# ## How this page was made

# %% tags=["making", "remove-input"]
tables = {"comparisons": result.comparisons, "components": result.components, "power": result.power}
pages.show_making(NOTEBOOK, parameters, tables, run)
