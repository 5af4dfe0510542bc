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
# # Lesson 2: measure it
#
# **Goals.** You can compute Dice by hand, and you know what HD95, folding and true error see that it does
# not. You have built a field that wins on Dice and is nonsense, and you can say why a ruler is chosen before the run.
#
# **You need** lesson 1. **It helps** to have seen a derivative. **Time** 12 minutes.
#
# ```{admonition} Write down before you start
# :class: tip
# Can a displacement have a higher Dice than the *true* one, the one by which the images were made? Yes or no, and
# why.
# ```

# %% tags=["parameters"]
steps: int = 0  # nothing is trained in this lesson

# %%
my_prediction = ""  # can a field have a higher Dice than the truth?

# %% tags=["hide-input"]
import labkit
import numpy as np
import torch
from measures import find_folds, register_greedy, score
from scipy import ndimage
from slices import make_held_out, warp

# %% [markdown]
# ## Dice by hand
#
# Two masks, A in the fixed and B in the moved image. Dice is twice what they share, over the sum of their sizes:
# 2 |A and B| / (|A| + |B|). Write it as a function of two bool arrays.

# %%
my_dice = None  # def my_dice(a, b): ...

# %%
labkit.check("dice", my_dice)


# %% tags=["hide-cell"]
def solution(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


labkit.check("dice", solution)

# %% [markdown]
# ## Four rulers, three fields
#
# The pairs are generated, so the true displacement is known. Beside it stand doing nothing, and greedy.

# %%
pairs = make_held_out()
fields = {
    "nothing moved": torch.zeros_like(pairs.truth),
    "greedy": register_greedy(pairs.fixed, pairs.moving),
    "the truth": pairs.truth,
}


def compare(fields):
    rows = [{"field": name, **score(pairs, u).mean().to_dict()} for name, u in fields.items()]
    labkit.table(rows)


compare(fields)

# %% [markdown]
# Dice over all structures of a slice, HD95 in mm, folding in percent of the brain, true error in mm; means over
# eight pairs of slices of two subjects. Why does even the truth not reach a Dice of 1? Labels sit on voxels, and a
# moved label is rounded to the nearest one.

# %% [markdown]
# ## A field that wins on Dice
#
# Whoever has the labels can cheat. For every voxel of the fixed image, this field points to the *nearest* voxel of the
# moving image that has the same label. No image is looked at.


# %%
def cheat(pairs):
    """Point every voxel to the nearest voxel of the same label; where there is none, stay."""
    fields = torch.zeros_like(pairs.truth)
    for i in range(len(pairs)):
        fixed, moving = (np.asarray(x[i, 0]) for x in (pairs.fixed_labels, pairs.moving_labels))
        here = np.indices(fixed.shape)
        for label in np.unique(fixed):
            if not (moving == label).any():
                continue
            nearest = ndimage.distance_transform_edt(
                moving != label, return_distances=False, return_indices=True
            )
            mask = fixed == label
            fields[i, :, torch.tensor(mask)] = torch.tensor((nearest - here)[:, mask]).float()
    return fields


fields["a cheat"] = cheat(pairs)
compare(fields)

# %%
labkit.show(
    labkit.draw_fields(
        {name: fields[name][0][:, 25:70, 20:70] for name in ("the truth", "greedy", "a cheat")}, 1
    ),
    "cheat",
    "The grid that three fields bend, in the middle of one slice (1 of 8 pairs, 2 subjects).",
    "Three bent grids: greedy is smooth, the truth is smooth but squeezed here and there, the cheat is torn and crossed.",
)

# %%
names = ("the truth", "greedy", "a cheat")
moved = {name: warp(pairs.moving[:1], fields[name][:1])[0, 0] for name in names}
folds = {f"folds of {name}": find_folds(fields[name][0]) for name in names}
labkit.show(
    labkit.draw_images({"fixed": pairs.fixed[0, 0], **moved, "moving": pairs.moving[0, 0], **folds}),
    "folds",
    "Above: the fixed image, and the moving image as three fields move it. Below: the moving image, and where each of "
    "the fields folds (1 pair).",
    "Slices: the moved image of the cheat is torn at every border. Voxels that fold: "
    + ", ".join(f"{int(where.sum())} in {name}" for name, where in folds.items()) + ".",
)  # fmt: skip

# %% tags=["remove-input"]
labkit.say(labkit.describe_folds({name: fields[name] for name in names}))

# %% [markdown]
# Why does the truth fold, and greedy not? The truth is one smooth deformation after another, and neither lets anything
# change places. But it is kept at voxels of 2 mm: where it squeezes and bends within less than a voxel, neighbours seem to
# have crossed. Read on a finer grid, most of these folds are gone. Greedy is smoother than the truth, and so has none.
# Folding unmasks a field that folds everywhere; a few folds more or fewer do not rank two fields.

# %% [markdown]
# **Which measures unmask the cheat?** A set of some of `"Dice"`, `"HD95"`, `"folding"`, `"true error"`.

# %%
my_measures = None  # for example {"Dice", "HD95"}

# %%
labkit.check("nonsense", my_measures)

# %% tags=["hide-cell"]
labkit.check("nonsense", {"folding", "true error"})  # the solution

# %% [markdown]
# **When is the ruler chosen?** `"before the run"`, `"after the run"`, or `"the one that differs most"`.

# %%
my_moment = None

# %%
labkit.check("ruler", my_moment)

# %% tags=["hide-cell"]
labkit.check("ruler", "before the run")  # the solution

# %% [markdown]
# ## Take away
#
# No single number says that a registration is right. Labels that made a field cannot judge it.
#
# ## Quiz

# %% tags=["hide-input"]
labkit.quiz("measure")

# %% [markdown]
# ## Read next
#
# [What is measured](../../protocol.md), [the rules](../../rules.md) and what had been run before them, and the chapter on
# label protocols: how much a verdict depends on the labels one has.
