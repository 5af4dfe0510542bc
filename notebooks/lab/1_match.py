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
# # Lesson 1: match two brains
#
# **Goals.** You can say what fixed, moving, displacement and moved are. You can read a displacement, and
# you know what it means that it pulls. You have registered one pair by an iterative method and by a network.
#
# **You need** Python with arrays; no anatomy. **It helps** to have seen a brain image. **Time** 10 minutes.
#
# ```{admonition} Write down before you start
# :class: tip
# Two methods will match two brains: *greedy* searches anew for this pair; a *network* has seen many pairs and
# answers at once. Which will match better? Which will be faster, and by what factor? Write one line.
# ```

# %% tags=["parameters"]
steps: int = 0  # nothing is trained in this lesson

# %%
my_prediction = ""  # which matches better, which is faster, by what factor

# %% tags=["hide-input"]
import labkit
import torch
from slices import SHAPE, draw_pairs, load_slices, warp
from volumes import load_volume_pair, measure, register_volumes

# %% [markdown]
# ## Two brains
#
# A generated pair: two brains of a population that this book makes itself, 2 mm voxels, T1w. The
# *fixed* image stays where it is. The *moving* image is to be bent until it looks like the fixed one. It has been brought
# near by an affine map already, as everywhere in this book.

# %%
pair = load_volume_pair()
middle = pair.fixed.shape[1] // 2
labkit.show(
    labkit.draw_images(
        {"fixed": pair.fixed[:, middle], "moving": pair.moving[:, middle],
         "fixed - moving": abs(pair.fixed - pair.moving)[:, middle]}
    ),
    "pair",
    "One generated pair (2 subjects), the coronal slice through the middle, before registration.",
    "Two coronal brain slices and their difference, which shows double borders everywhere.",
)  # fmt: skip

# %% [markdown]
# ## Register, twice
#
# Both answers are a *displacement*: at every voxel of the fixed image, how far away in the moving image its
# counterpart lies. Dice says how well 134 structures overlap after moving (1: perfectly), and it will be
# taken apart in lesson 2.

# %%
fields, rows = {}, []
for method in ("greedy", "vfa"):
    fields[method], seconds = register_volumes(method, pair)
    rows.append({"method": method, "seconds": round(seconds, 1), **measure(pair, fields[method])})
rows.insert(0, {"method": "nothing moved", "seconds": 0.0, **measure(pair, 0 * fields["greedy"])})
labkit.table(rows)

# %%
moved = {name: pair.move(field) for name, field in fields.items()}
labkit.show(
    labkit.draw_images(
        {"fixed": pair.fixed[:, middle]} | {name: m[:, middle] for name, m in moved.items()}
        | {f"fixed - {name}": abs(pair.fixed - m)[:, middle] for name, m in moved.items()}
    ),
    "moved",
    "The moving image after registration (1 pair, 2 subjects), and what is left of the difference.",
    "Coronal slices: the fixed image, the moved images of greedy and of a network, and their differences.",
)  # fmt: skip

# %% [markdown]
# Compare with your prediction. The [viewer and the explorer](../../index.md) of this book let you fly
# through the slices of its published pairs.

# %% [markdown]
# ## Read a displacement
#
# From here on we work with flat brains: slices, for they train in a minute. `warp(moving, displacement)`
# gives the moved image, and this is its whole definition:
#
# > moved(x) = moving(x + displacement(x)), in voxels
#
# **Hands on.** Make a displacement, shape (1, 2, X, Y), that moves the *content* of every image by +5 voxels
# along the first axis, and nowhere else.

# %%
my_field = None  # for example torch.zeros(1, 2, *SHAPE), with one component changed

# %%
labkit.check("pull", my_field)

# %% [markdown]
# ```{admonition} A solution
# :class: dropdown
# The next cell, folded. A field of -5 at x says: show here what the moving image has at x - 5. So the content
# moves by +5.
# ```

# %% tags=["hide-cell"]
solution = torch.zeros(1, 2, *SHAPE)
solution[:, 0] = -5
slice_pair = draw_pairs(load_slices([4]), 1, torch.Generator().manual_seed(1))
labkit.show(
    labkit.draw_images(
        {
            "moving": slice_pair.moving[0],
            "moved by a field of -5": warp(slice_pair.moving, solution)[0],
        }
    ),
    "pull",
    "A slice, and the same slice moved by a field that is -5 everywhere in its first component.",
    "A brain slice and its copy, shifted to the right.",
)

# %% tags=["hide-cell"]
labkit.check("pull", solution)

# %% [markdown]
# ## What is a method compared with?
#
# "The network has a Dice of 0.77." What do you have to know first? Options: `"no displacement"`,
# `"greedy"`, `"Dice 0"`, `"Dice 1"`.

# %%
my_start = None

# %%
labkit.check("start", my_start)

# %% tags=["hide-cell"]
labkit.check("start", "no displacement")  # the solution

# %% [markdown]
# ## Take away
#
# A displacement pulls. A method is compared with doing nothing first, and with a control second.
#
# ## Quiz

# %% tags=["hide-input"]
labkit.quiz("match")

# %% [markdown]
# ## Read next
#
# [The protocol](../../protocol.md) follows one pair from file to number, and the
# [glossary](../../glossary.md) has the words. Then lesson 2: can the ruler be trusted?
