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
# # Resolution: the wall and the gain
#
# **Question.** In what memory does each network run at 0.6 mm, and do iterative methods gain when a pair
# is registered at 0.6 mm instead of 1 mm?

# %% tags=["parameters"]
profile: str = "demo"  # column of experiments.yml these values come from
template_mm: float = 2.0  # voxel size of the generated cohort's images and labels
template_working_mm: list = [
    2.0,
    3.0,
    4.0,
]  # voxel sizes at which the generated cohort is registered
template_methods: list = [
    "greedy",
    "clapirn",
    "clapirn@grid",
]  # @grid: not resampled for the network
template_pairs: int = 2  # ordered pairs of the generated cohort; 0: none
n_subjects: int = 3  # subjects of the generated cohort
fine_scales_mm: list = []  # scales of the fine deformations that generated brains have
fine_pairs: list = []  # ordered pairs for each of these scales
fine_subjects: int = 12  # subjects of those
fine_noise: float = 0.03  # noise of those, over the brightest tissue
fine_working_mm: list = [0.6, 1.0]  # voxel sizes at which those are registered
fine_methods: list = ["greedy", "fireants-greedy"]  # by these methods
oasis_working_mm: list = [
    1.0,
    1.5,
    2.0,
    3.0,
]  # voxel sizes at which OASIS is registered; scans have 1 mm
oasis_methods: list = ["greedy", "clapirn", "vfa"]  # names in the registry
oasis_pairs: int = 0  # ordered pairs of OASIS, the first of notebook 01; 0: none
budgets_gb: list = [16, 24, 48, 80]  # memory of common processors' and graphics cards
failure: list = ["voxelmorph", 1.5]  # network and voxel size, mm, of the failure that is provoked
margin: float = 0.01  # gain in mean Dice that counts
n_panels: int = 0  # pairs of which slices are kept for pictures
seed: int = 0  # of the pair design and the generated cohort
jobs: int = 0  # registrations at a time; 0: one per core

# %% tags=["setup", "hide-input"]
from lumirage_lib.book import pages
from lumirage_lib.experiments import EXPERIMENTS, load_or_compute
from lumirage_lib.experiments.resolution import figures, memory

NOTEBOOK = "04_resolution"
parameters = pages.gather(NOTEBOOK, globals())
run = load_or_compute(NOTEBOOK, parameters)
result = EXPERIMENTS[NOTEBOOK].analyse(run, parameters)
provoked = memory.provoke_failure(*failure)
here = f"04-{profile}"

# %% tags=["remove-input"]
pages.say_headline(result.opening)

# %% tags=["hide-input"]
if result.wall is not None:
    pages.show(
        figures.plot_memory_wall(result.wall, budgets_gb),
        f"fig-{here}-wall",
        "Peak memory of one inference on one processor thread against voxel size, whole brain. Lines: "
        "predicted, solid in slabs, dashed whole; symbols: measured. Horizontal: memory budgets. "
        "No pairs or subjects: memory does not depend on what is in the images.",
        f"Two panels of curves of peak memory against voxel size. {result.wall_text}",
    )

# %% tags=["remove-input"]
pages.say_points(result.opening)

# %% [markdown]
# ```{admonition} Before you read
# :class: dropdown
# How much memory every network needs at every resolution, in two forms that compute the same; one
# failure, provoked and caught; and how accuracy depends on the resolution at which a pair is
# registered, when it is always judged on the labels of the images as they were taken. You should know
# what a [network is given](../methods.md) and what the measures mean ([protocol](../protocol.md)).
# ```

# %% tags=["remove-input"]
if result.state:
    pages.say(result.state)

# %% [markdown]
# ## The wall
#
# A convolution of a whole volume needs its input, its output and, inside the library that computes it,
# copies of both. The same convolution can be computed slab by slab: then the copies are as large as a
# slab, and what is concatenated or upsampled only to be convolved never exists as a whole. Attention
# over the 27 neighbours of a voxel can lay the 27 side by side for all voxels, or go through the volume
# in tiles. Either way the result is the same, which a test proves. *Whole* below is the first form, as
# networks are commonly written; *slabs* is the second, that of this library.
#
# Memory is predicted from the network's graph: it runs on tensors that have a shape and no values,
# while what is alive is counted; memory that was asked for and not yet written does not count. What
# could be run here was, and its peak measured. The grids are those that cover a whole brain,
# 352 × 352 × 256 at 0.6 mm.

# %% tags=["remove-input"]
pages.say(result.wall_text)
pages.say(result.need_table)
pages.say(result.error_text)

# %% [markdown]
# ### Which card at 0.6 mm
#
# The smallest memory that each network's form fits into: by what a graphics card was seen to need, its
# driver's context included, and by the prediction where no card was measured
# (`python benchmarks/gpu.py`).

# %% tags=["remove-input"]
pages.say(result.fit_table)
pages.say(f"{result.fit_text} {result.card_text} {result.ran_text}")

# %% [markdown]
# ### Attention without unfolding
#
# The matching stage of VFA alone, both forms on the same features, each in a fresh process: *plain*
# lays the 27 keys of every voxel side by side, *ours* goes through the volume in tiles. *Forward* is
# a whole inference, *bfloat16* the same with half the digits in its convolutions.

# %% tags=["remove-input"]
pages.say(memory.read_attention())

# %% [markdown]
# ## A failure, provoked and caught
#
# One network, one grid, one budget between what its two forms are predicted to need. Each runs in a
# process of its own, which may not take more than the budget.

# %% tags=["remove-input"]
pages.say(memory.tabulate_failure(provoked))
pages.say(memory.say_failure(provoked))

# %% [markdown]
# ## The gain
#
# Both images are resampled to the working resolution, registered there, and the displacement is brought
# back to the grid of the images as they were taken, where it is judged. What does a network do at
# another voxel size than it was trained on? Two answers, both shown: resampled to the voxels of its
# training, which is what this library does by default, so that it never sees more detail than they
# hold; or fed the working grid as it is (*as given*), where structures have another size in voxels than
# those it learned.

# Whether anything can be gained depends on what there is to match. The generated brains of the published
# population differ by smooth deformations of 9 mm and more, which 1 mm should show as well as 0.6 mm. Those
# with a *fine scale* differ down to 1.5 or 3 mm, too, and have more noise.

# %% tags=["hide-input"]
pages.show(
    figures.plot_levels(result.levels),
    f"fig-{here}-gain",
    "Accuracy at native labels against the voxel size at which the pair was registered; mean over "
    f"pairs, bars from the lowest to the highest pair. {result.design}",
    f"Curves of accuracy against working voxel size, one per method. {result.gain_text}",
)

# %% tags=["hide-input"]
steps = result.gain.dropna(subset="dose")
if len(steps):
    step = steps.loc[steps["to_mm"].idxmin()]
    pages.show(
        figures.plot_gain_by_scale(result.gain, step["from_mm"], step["to_mm"]),
        f"fig-{here}-scale",
        "Gain in Dice of the last step to a finer voxel size, against the scale of the finest deformation "
        "between generated brains; bars: 95 % intervals over subjects where there are at least three, else hollow. "
        f"{result.scale_design}",
        f"Gain against scale of deformation, one line per method. {result.gain_text}",
    )

# %% tags=["remove-input"]
pages.say(result.gain_text)
pages.say(result.gain_table)

# %% [markdown]
# ```{admonition} Every level
# :class: dropdown
# Dice and, where the true correspondence is known, the mean distance to it:
# ```

# %% tags=["remove-input"]
pages.say(result.levels_table)

# %% [markdown]
# ## By the rule
#
# The interval is adjusted as though the primary arms of other chapters had shown nothing: the
# [scoreboard](00_summary_open.ipynb), which has all, may give a narrower one.

# %% tags=["remove-input"]
pages.say(result.verdict_text)

# %% [markdown]
# ## What could overturn this

# %% tags=["remove-input"]
pages.say(result.limits)

# %% [markdown]
# ## Exercise
#
# Predict, before looking, by which factor memory grows from 1 mm to 0.5 mm. Then divide. Why is the
# factor of the form in slabs not that of the voxels exactly?
#
# ```{admonition} A solution
# :class: dropdown
# Half the spacing means eight times the voxels, but grids are rounded up to a multiple of 16, and the
# process itself and the slabs do not grow with the volume:
# ```

# %% tags=["hide-cell"]
if result.wall is not None:
    table = result.wall.pivot_table("predicted_mb", ["network", "form"], "spacing_mm")
    print((table[0.5] / table[1.0]).round(1).to_string())

# %% [markdown]
# ## How this page was made
#
# The curves of the wall are the output of `python benchmarks/memory.py`, which with `--check` holds
# every prediction to what was measured; one point of them, measured, is
# `lumirage memory clapirn --shape 144 144 112 --measure`.

# %% tags=["making", "remove-input"]
pages.show_making(NOTEBOOK, parameters, result.tables, run)
