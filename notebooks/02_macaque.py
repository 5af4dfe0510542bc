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
# # Another species: macaque brains
#
# **Question.** On T1w brains of macaques, which no network here was trained on, are registration networks
# as accurate as iterative optimisation? And does it matter that the brains are small?

# %% tags=["parameters"]
profile: str = "demo"  # column of experiments.yml these values come from
cohort: str = "macaque_like"  # macaque (templates, one animal), macaque_like (generated), primede
spacing_mm: float = 2.0  # voxel size of the generated cohort, as if the brains were human ones
n_subjects: int = 4  # subjects of the generated cohort
n_pairs: int = 4  # ordered pairs; of macaque all are taken; 0: all of your own data
sizes: list = ["true size", "human size"]  # what the header says of the brain's size
methods: list = ["affine", "greedy", "clapirn"]  # names in the registry, or module:attribute
margin: float = 0.01  # mean Dice difference within which two methods count as equal
n_panels: int = 1  # pairs of which slices are kept for the pictures
seed: int = 0  # of the pair design and the generated cohort
jobs: int = 0  # registrations at a time; 0: one per core

# %% tags=["setup", "hide-input"]
from lumirage_lib.book import pages
from lumirage_lib.experiments import EXPERIMENTS, load_or_compute
from lumirage_lib.experiments.charts import plot_changes, plot_contrast_dice
from lumirage_lib.experiments.panels import NOT_SHOWN, find_panel, plot_panel, read_panel
from lumirage_lib.runs.profiles import project_root

NOTEBOOK = "02_macaque"
PICTURE = project_root() / "book" / "pictures" / "macaque.npz"
parameters = pages.gather(NOTEBOOK, globals())
run = load_or_compute(NOTEBOOK, parameters)
result = EXPERIMENTS[NOTEBOOK].analyse(run, parameters)
here = f"02-{profile}"

# %% tags=["remove-input"]
pages.say_headline(result.opening)

# %% tags=["hide-input"]
if len(result.pairs):
    pages.show(
        plot_contrast_dice(result.pairs[result.pairs["kind"] == "between"]),
        f"fig-{here}-dice",
        f"Mean Dice over structures and pairs at both sizes. {result.design} Solid lines with circles are "
        "iterative, dashed with triangles deep, squares the affine alignment alone.",
        "Line chart of mean Dice at true and human size, one line per method.",
    )

# %% tags=["remove-input"]
pages.say_points(result.opening)

# %% [markdown]
# ```{admonition} Before you read
# :class: dropdown
# Macaque brains registered to each other at their true size and declared as large as human ones; the
# difference between networks and iterative methods at either size; one pair in pictures. You should have
# read the chapter on T1w.
# ```

# %% tags=["remove-input"]
pages.say(result.state)
pages.say(result.images)
pages.say(result.limits)

# %% [markdown]
# ## Is the difference zero?
#
# Equal means: the whole interval of the mean difference lies within the margin. A verdict needs five
# independent brains. Human size is how the paper presents its macaques, so it is the size to compare.

# %% tags=["hide-input"]
if len(result.differences):
    pages.show(
        plot_changes(result.differences, "deep − iterative, mean Dice"),
        f"fig-{here}-differences",
        "Difference in mean Dice against the mean of the iterative methods, 95 % interval over subjects. "
        f"{result.design} Right of zero: the network is ahead. Diamonds: mean of the family of "
        "networks; triangles: each network.",
        f"Forest plot by size, a diamond and one triangle per network. {result.opening.headline}",
    )

# %% tags=["remove-input"]
pages.say(result.sides_text)
pages.say(result.verdict_text)
pages.say(result.differences_table)
pages.say(result.size_text)

# %% [markdown]
# ## The two forms of one template

# %% tags=["remove-input"]
pages.say(result.related_text)

# %% [markdown]
# ## One pair in pictures

# %% tags=["hide-input"]
panel = find_panel(run.registrations[run.registrations["condition"] == sizes[0]], run.store, cohort)
whose = "One pair"
if panel is None and PICTURE.exists():
    panel = read_panel(PICTURE)
    whose = (
        "The images of this run may not be drawn. In their place one generated pair, a human template "
        "deformed and shrunk to the size of a macaque,"
    )
if panel is not None:
    pages.show(
        plot_panel(panel),
        f"fig-{here}-panel",
        f"{whose} ({panel.pair}, 2 subjects) at {sizes[0]}, coronal slice through the middle, moved by "
        f"{len(panel.slices)} methods. Blue: borders of structures of the fixed image. Orange: where the moved "
        "structures are not those, which is the error.",
        f"Coronal brain slices of pair {panel.pair}: the fixed image, then the moved image of every method "
        "with its error in colour.",
    )
else:
    pages.say(NOT_SHOWN)

# %% [markdown]
# ## Exercise
#
# What the header says changes nothing on the native grid on which a field is scored. Do networks that gain
# in Dice at human size fold more? Compare `ndv_percent`, the non-diffeomorphic volume, at the two sizes.
#
# ```{admonition} A solution
# :class: dropdown
# Means by method and size, over the pairs that count above. A better overlap that is paid for in folding would show as both
# columns rising together from true to human size. Compare the two rows of each network: one whose overlap rises while its
# folded share falls gained without paying.
# ```

# %% tags=["hide-cell"]
counted = result.pairs[result.pairs["kind"] == "between"]
measured = [name for name in ("dice", "ndv_percent") if name in counted]
counted.pivot_table(measured, "method", "condition").round(3) if measured else None

# %% [markdown]
# ## How this page was made

# %% tags=["making", "remove-input"]
tables = {"pairs": result.pairs, "differences": result.differences}
pages.show_making(NOTEBOOK, parameters, {n: t for n, t in tables.items() if len(t)}, run)
