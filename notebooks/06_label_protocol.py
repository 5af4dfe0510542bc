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
# # The ruler
#
# **Question.** The registrations stay the same; only the way they are scored changes. Does the ruler
# choose the winner?

# %% tags=["parameters"]
profile: str = "demo"  # column of experiments.yml these values come from
cohort: str = "template"  # whose brains: template (generated) or oasis (30 real T1w scans)
spacing_mm: float = 2.0  # voxel size of the generated cohort; real cohorts keep their own
n_subjects: int = 5  # subjects of the generated cohort
n_pairs: int = 5  # ordered pairs, every subject equally often fixed and moving
rescan: bool = False  # second scans of a subject are not ranked here
methods: list = ["affine", "syn", "greedy"]  # names in the registry, or module:attribute
limits: dict = {}  # method -> number of pairs, for methods too slow for all
n_panels: int = 1  # pairs of which slices are kept for pictures
seed: int = 0  # of the pair design and the generated cohort
jobs: int = 0  # registrations at a time; 0: one per core

# %% tags=["setup", "hide-input"]
from lumirage_lib.book import pages
from lumirage_lib.experiments import EXPERIMENTS, load_or_compute
from lumirage_lib.experiments.label_protocol import figures

NOTEBOOK = "06_label_protocol"
parameters = pages.gather(NOTEBOOK, globals())
run = load_or_compute(NOTEBOOK, parameters)
result = EXPERIMENTS[NOTEBOOK].analyse(run, parameters)
here = f"06-{profile}"

# %% tags=["remove-input"]
pages.say_headline(result.opening)

# %% tags=["hide-input"]
pages.show(
    figures.plot_ranks(result.ranks, result.values),
    f"fig-{here}-ranks",
    f"Rank of every method under every ruler (1 is best), the value below it. {result.design} "
    "Dice rulers: higher is better; HD95: lower.",
    f"Heat map of ranks, one row per method, one column per ruler. {result.spread}",
)

# %% tags=["remove-input"]
pages.say_points(result.opening)

# %% [markdown]
# ```{admonition} Before you read
# :class: dropdown
# The registrations of notebook 01, scored by label sets, overlap rules, averages and distances that
# papers and challenges have used. You should know Dice and HD95 (see the
# [protocol](../protocol.md)). Nothing is registered again.
# ```

# %% [markdown]
# ## Ranks under every ruler

# %% tags=["remove-input"]
pages.say(result.spread)

# %% [markdown]
# ## Who wins, and by how much

# %% tags=["remove-input"]
pages.say(result.changes)

# %% [markdown]
# ## What could overturn this

# %% tags=["remove-input"]
pages.say(result.limits)

# %% [markdown]
# ## Exercise
#
# A challenge averages the background in as if it were a structure. By how much does that lift the
# Dice of the affine alignment, and why by more than that of a good registration?
#
# ```{admonition} A solution
# :class: dropdown
# The background overlaps almost perfectly whatever is done, so it adds nearly the same high value to
# every mean; the lower the mean, the more it gains, and differences between methods shrink:
# ```

# %% tags=["hide-cell"]
(result.values["background averaged in"] - result.values["default"]).round(4)

# %% [markdown]
# ## How this page was made

# %% tags=["making", "remove-input"]
table = result.values.reset_index()
pages.show_making(NOTEBOOK, parameters, {"values": table, "ranks": result.ranks.reset_index()}, run)
