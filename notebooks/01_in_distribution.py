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
# # In distribution: T1w to T1w
#
# **Question.** On the kind of image they were trained on, T1-weighted brains of healthy adults, are
# registration networks as accurate as iterative optimisation?

# %% tags=["parameters"]
profile: str = "demo"  # column of experiments.yml these values come from
cohort: str = "template"  # whose brains: template (generated), oasis (30 real T1w scans), your own
root: str = ""  # folder of the paper's own data; empty: that of LUMIRAGE_DATA_NAME
cohort_options: dict = {}  # what else such a cohort is made with, e.g. {contrast: T1w, labels: slant}
spacing_mm: float = 2.0  # voxel size of the generated cohort; real cohorts keep their own
n_subjects: int = 5  # subjects of the generated cohort
n_pairs: int = 5  # ordered pairs, every subject equally often fixed and moving; 0: all of your data
alignment: str = "affine"  # start of all methods: affine, rigid, or centre (of mass), the paper's
rescan: bool = False  # also register the second scan of a subject to the first: the ceiling
methods: list = ["affine", "syn", "greedy"]  # names in the registry, or module:attribute
limits: dict = {}  # method -> number of pairs, for methods too slow for all
margin: float = 0.01  # mean Dice difference within which two methods count as equal
n_panels: int = 1  # pairs of which slices are kept for the pictures
seed: int = 0  # of the pair design and the generated cohort
jobs: int = 0  # registrations at a time; 0: one per core

# %% tags=["setup", "hide-input"]
from lumirage_lib.book import pages
from lumirage_lib.experiments import EXPERIMENTS, load_or_compute
from lumirage_lib.experiments.charts import plot_curve
from lumirage_lib.experiments.in_distribution import figures
from lumirage_lib.experiments.panels import NOT_SHOWN, find_panel, plot_panel
from lumirage_lib.experiments.specifications import take_dice

NOTEBOOK = "01_in_distribution"
parameters = pages.gather(NOTEBOOK, globals())
run = load_or_compute(NOTEBOOK, parameters)
result = EXPERIMENTS[NOTEBOOK].analyse(run, parameters)
here = f"01-{profile}"

# %% tags=["remove-input"]
pages.say_headline(result.opening)

# %% tags=["hide-input"]
pages.show(
    figures.plot_dice_by_method(run.registrations),
    f"fig-{here}-dice",
    f"Mean Dice over structures by method; {result.design} Bars: quartiles, ticks: medians. "
    "Circles are iterative, triangles deep, squares the baseline; open symbols are two scans of "
    "one subject.",
    "Strip chart of mean Dice per registered pair, one row per method. " + result.summary_text,
)

# %% tags=["remove-input"]
pages.say_points(result.opening)

# %% [markdown]
# ```{admonition} Before you read
# :class: dropdown
# Overlap of anatomical structures after registration, pair by pair and structure by structure; what
# each method costs; and one pair in pictures. You should know what a displacement field and the Dice
# coefficient are (see the [protocol](../protocol.md)).
# ```

# %% tags=["remove-input"]
pages.say(result.state)

# %% [markdown]
# ## Accuracy of every pair
#
# Every point is one registration. All methods of a pair start from the same affine alignment and see
# the same images, so they differ in the deformable part alone.

# %% tags=["remove-input"]
pages.say(result.summary_table)

# %% [markdown]
# ## Is the difference zero?
#
# Equal means: the whole interval of the mean difference lies within the margin; the
# [rules](../rules.md) say which word follows from which interval. The families are declared by role:
# published networks that learned from T1w scans of OASIS at 1 mm, and optimisers that go down to the voxels
# of the images. OASIS is not all that each of the networks saw: VoxelMorph learned from several other studies,
# too, and always with one atlas as the fixed image, which no pair here has. What works coarser or was trained
# on other people stands beside. Some of either family also met on T1w of people from whom no network has
# learned: [chapter 03](03_contrasts_open.ipynb), under *Effect sizes on each contrast*. Pairs share subjects, so
# intervals are over subjects, not over pairs. That of the verdict is adjusted as though the primary arms of
# other chapters had shown nothing: the [scoreboard](00_summary_open.ipynb), which has all, may give a narrower
# one. Those of the table hold one at a time.

# %% tags=["remove-input"]
pages.say(result.sides_text)
pages.say(result.comparison_text)

# %% [markdown]
# ## Which structures decide
#
# The same comparison, structure by structure, of those of either family that were run on all pairs.

# %% tags=["hide-input"]
if result.differences is not None:
    pages.show(
        figures.plot_structure_differences(result.differences),
        f"fig-{here}-structures",
        "Difference in Dice of each structure, deep minus iterative; mean over pairs and 95 % "
        f"interval over subjects, one at a time. {result.design} "
        "Above: the largest differences. Below: all structures in order.",
        f"Curve and bar chart of the mean Dice difference per structure. {result.structure_text}",
    )

# %% tags=["remove-input"]
pages.say(result.structure_text)

# %% [markdown]
# ## Would other choices have said the same?
#
# The same question by other methods, labels and label rules; intervals one at a time, not adjusted.

# %% tags=["hide-input"]
if len(result.specifications):
    pages.show(
        plot_curve(take_dice(result.specifications).replace({"labels": result.label_words})),
        f"fig-{here}-specifications",
        "Deep minus iterative Dice by every choice, in order, with 95 % intervals; marks say which choice is "
        f"which. {result.design} Grey band: within the margin.",
        f"Specification curve. {result.specification_text}",
    )

# %% tags=["remove-input"]
pages.say(result.specification_text)

# %% [markdown]
# ## Two scans of one brain

# %% tags=["remove-input"]
pages.say(result.rescan_text)

# %% [markdown]
# ## What it costs

# %% tags=["hide-input"]
pages.show(
    figures.plot_cost(run.registrations),
    f"fig-{here}-cost",
    "Processor seconds and additional memory of one registration against mean Dice; median and "
    f"quartiles across, mean and standard deviation over pairs upward. {result.design} "
    "The affine alignment, common to all, is not counted.",
    f"Two scatter plots of cost against accuracy, one point per method. {result.cost_text}",
)

# %% tags=["remove-input"]
pages.say(result.cost_text)

# %% [markdown]
# ## One pair in pictures

# %% tags=["hide-input"]
panel = find_panel(run.registrations, run.store, cohort)
if panel is not None:
    pages.show(
        plot_panel(panel),
        f"fig-{here}-panel",
        f"One pair ({panel.pair}, 2 subjects), coronal slice through the middle. Blue: borders of "
        "structures of the fixed image. Orange: where the moved structures are not those, which is the error.",
        f"Coronal brain slices of pair {panel.pair}: the fixed image, then the moved image of every method "
        "with its error in colour.",
    )
else:
    pages.say(NOT_SHOWN)

# %% [markdown]
# One pair that may be shown to everyone, registered by the same methods, to look through:
#
# ```{viewer} template
# ```

# %% [markdown]
# ## What could overturn this

# %% tags=["remove-input"]
pages.say(result.limits)

# %% [markdown]
# ## Exercise
#
# Dice weighs every structure alike, whatever its size. Weigh each structure by its volume in the
# fixed image instead (column `n_fixed` of the structures table). Does the order of the methods change,
# and why do all values rise?
#
# ```{admonition} A solution
# :class: dropdown
# Large structures such as the white matter overlap well even when the cortex does not, so weighing by
# volume lifts every method and hides differences between small structures. Methods that were run on every
# pair:
# ```

# %% tags=["hide-cell"]
weighted = (
    result.structures.query("kind == 'between' and dice == dice and method in @result.complete")
    .assign(weighted=lambda t: t["dice"] * t["n_fixed"])
    .groupby("method")[["weighted", "n_fixed"]]
    .sum()
)
(weighted["weighted"] / weighted["n_fixed"]).sort_values(ascending=False).round(3)

# %% [markdown]
# ## How this page was made

# %% tags=["making", "remove-input"]
pages.show_making(
    NOTEBOOK,
    parameters,
    {
        "pairs": result.pairs,
        "structures": result.structures,
        "specifications": result.specifications,
    },
    run,
)
