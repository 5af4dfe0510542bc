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
curves: dict = {}  # method -> {parameter: values from rough to smooth}, see "At equal smoothness"
n_curve_pairs: int = 6  # pairs, the first ones, on which each value is run
drawn: dict = {}  # arm of notebook 03 -> its pairs, whose labels are also drawn on each contrast
n_atlases: int = 15  # scans that labels of those arms are fused from
margin: float = 0.01  # smallest difference in Dice that matters
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
if len(result.values):
    pages.show(
        figures.plot_ranks(result.ranks, result.values),
        f"fig-{here}-ranks",
        f"Rank of every method under every ruler (1 is best), the value below it. {result.design} "
        "Dice rulers: higher is better; HD95: lower.",
        f"Heat map of ranks, one row per ruler, one column per method. {result.opening.headline}",
    )

# %% tags=["remove-input"]
pages.say_points(result.opening)

# %% [markdown]
# ```{admonition} Before you read
# :class: dropdown
# The registrations of notebook 01, scored by label sets, overlap rules, averages and distances that
# papers and challenges have used. You should know Dice and HD95 (see the
# [protocol](../protocol.md)). Only the curves of smoothness need registrations of their own.
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
# ## At equal smoothness
#
# A field that may bend more overlaps better. Each method here was run at several strengths of its own
# smoothing; where two fields are equally rough, their Dice can be compared.

# %% tags=["remove-input"]
pages.say(result.sides_text)
pages.say(result.curve_text)

# %% tags=["hide-input"]
if len(result.curves):
    pages.show(
        figures.plot_curves(result.curves, result.level),
        f"fig-{here}-regularity",
        "Mean Dice against the spread of log J (left) and against folded voxels (right), a point for each "
        f"strength of smoothing. {result.curve_design}",
        f"Lines of methods from rough to smooth. {result.curve_text}",
    )

# %% tags=["remove-input"]
if len(result.curves):
    pages.say(f"{result.curve_reading}\n\n{result.equal_table}\n\n{result.curve_table}")

# %% [markdown]
# ## Who drew the labels
#
# The paper's labels were drawn on every contrast by a segmenter. If that segmenter is itself lost outside
# T1w, the ruler shifts with the image. Here the same registrations of real contrasts are scored by the
# published labels, by these merged to the 18 classes of a segmenter that knows T1w alone, by that segmenter on
# T1w, and by it on the contrast. Each change is taken against T1w, in the slices of the contrast where there
# is such an image. Words are read from 95 % alone here; [chapter 03](03_contrasts_open.ipynb) adjusts its own
# over all primary arms, so that the same numbers may have a more careful word there.

# %% tags=["remove-input"]
pages.say(result.drawn_text)

# %% tags=["hide-input"]
if len(result.drawn):
    pages.show(
        figures.plot_drawn(result.drawn.query("kind == 'ruler'"), margin),
        f"fig-{here}-drawn",
        "Networks against iterative methods by who drew the labels, 95 % each alone; grey: less than matters. "
        f"{result.drawn_design}",
        f"Intervals of networks against iterative methods, one for each label map. {result.drawn_design}",
    )

# %% tags=["remove-input"]
if len(result.drawn):
    pages.say(
        f"{result.drawn_table}\n\nThe same, from one label map to the next:\n\n{result.steps_table}"
    )

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
tables = {"values": table, "ranks": result.ranks.reset_index(), "curves": result.curves}
tables |= {"drawn": result.drawn}
pages.show_making(NOTEBOOK, parameters, tables, run)
