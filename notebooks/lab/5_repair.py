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
# # Lesson 5: repair it
#
# **Goals.** You have repaired a network in four ways, you can say which repair mends which break, and you report what
# a repair costs where nothing was broken.
#
# **You need** lesson 4. **It helps** to have heard of augmentation. **Time** 20 minutes, some of them waiting: four networks are trained.

# %% tags=["parameters"]
steps: int = 300  # of every training, as in lesson 3

# %% tags=["hide-input"]
import functools
import inspect

import labkit
import pandas as pd
import repairs
import torch
from breaks import CHANGES
from IPython.display import Code
from measures import register, register_greedy, score
from slices import make_held_out, make_training

# %% [markdown]
# ## Four repairs
#
# | repair | what it does |
# |---|---|
# | remapped inputs | in training, intensities go through random curves |
# | scale augmentation | in training, both images are shrunk by a random factor |
# | MIND | the network sees how alike a place is to its neighbours, not intensities |
# | instance optimisation | the answer is improved on the pair itself, step by step |
#
# ```{admonition} Write down before you go on
# :class: tip
# For each break of lesson 4, which repair will mend it? And which repair will cost most on plain T1w images?
# ```

# %%
my_prediction = {
    "inverted": "",
    "folded": "",
    "dimmed": "",
    "header x 0.4": "",
    "costs most on T1w": "",
}

# %%
Code(
    "\n\n".join(
        map(inspect.getsource, (repairs.remap_inputs, repairs.shrink_inputs, repairs.describe_mind))
    ),
    language="python",
)

# %% [markdown]
# ## Train the repaired networks
#
# Each repair goes on from the plain network, with as many steps again. A repair needs a control too: the plain network,
# trained on as long without any repair. (MIND sees something else, so it starts anew and gets all the steps.)

# %%
pairs, held_out = make_training(), make_held_out()
plain = labkit.get_network(pairs, steps)
networks = {
    "plain": plain,
    "trained on": labkit.get_network(pairs, steps, "on", start=plain, seed=10),
    "remapped inputs": labkit.get_network(
        pairs, steps, "remapped", start=plain, seed=10, change=repairs.remap_inputs
    ),
    "scale augmentation": labkit.get_network(
        pairs, steps, "scaled", start=plain, seed=10, change=repairs.shrink_inputs
    ),
    "MIND": labkit.get_network(pairs, 2 * steps, "mind", describe=repairs.describe_mind),
    "instance optimisation": functools.partial(repairs.optimise, plain),
}
breaks = ("T1w", "inverted", "folded", "T2w", "dimmed", "header x 0.4")
dice = pd.DataFrame(index=pd.Index(breaks, name="change"), columns=list(networks), dtype=float)
for name, network in networks.items():
    for change in breaks:
        dice.loc[change, name] = score(held_out, register(network, held_out, CHANGES[change]))[
            "dice"
        ].mean()
start = score(held_out, torch.zeros_like(held_out.truth))["dice"].mean()
labkit.say(f"Doing nothing has a Dice of {start:.3f}.")
labkit.table(dice)

# %%
labkit.show(
    labkit.draw_lines(dice, start),
    "repairs",
    "Mean Dice of the plain and the repaired networks under each change (8 pairs of 2 subjects); dashed: nothing moved.",
    "Dots by change, one mark per network; the table above has the numbers.",
)

# %% [markdown]
# ## How much of what was lost has come back?
#
# Regained = (repaired - plain, on the broken images) / (what the break cost the plain network). 1 is all of it. Where
# the break cost less than 0.01, there is nothing to regain and the row is left out. Look at *trained on* first: what it
# regains, no repair may claim.

# %%
regained = labkit.compute_regained(dice)
labkit.table(regained)

# %% [markdown]
# **Which repair is made for which break?** Of the first three repairs, name one for each of the three breaks. Whether it
# mends it is another matter: the table above tells. Dimming is not asked: no random curve is like it, for each is stretched
# to the full range (`draw_curve` in `breaks.py`).

# %%
my_repairs = {}  # {"inverted": "...", "folded": "...", "header x 0.4": "..."}

# %%
labkit.check("repairs", my_repairs)

# %% tags=["hide-cell"]
solution = {
    "inverted": "remapped inputs",
    "folded": "remapped inputs",
    "header x 0.4": "scale augmentation",
}
labkit.check("repairs", solution)

# %% [markdown]
# ## What does it cost?
#
# What does training on remapped inputs cost on T1w, in Dice, against the network trained on as long? A positive number
# is a cost.

# %%
my_cost = None

# %%
names = {"plain": "plain", "trained_on": "trained on", "repaired": "remapped inputs"}
known = {word: dice.loc["T1w", name] for word, name in names.items()}
labkit.check("cost", my_cost, **known)

# %% tags=["hide-cell"]
labkit.check(
    "cost", dice.loc["T1w", "trained on"] - dice.loc["T1w", "remapped inputs"], **known
)  # the solution

# %% tags=["remove-input"]
labkit.say(labkit.describe_costs(dice))

# %% [markdown]
# ```{admonition} When a repair does not repair
# :class: note
# A brain at 0.4 of its size is shown by a sixth of the voxels. Scale augmentation mends a part of what that costs.
# Instance optimisation mends more: what is missing is in the images, the network has not learned it yet. The true repair
# of a wrong header is the right header. And if *trained on* regains as much as a repair does, what looked like a repair
# was patience.
# ```
#
# %% tags=["remove-input"]
shrunk = score(held_out, register(register_greedy, held_out, CHANGES["header x 0.4"]))
labkit.say(
    f"Given the shrunk images, greedy itself reaches a Dice of {shrunk['dice'].mean():.3f}; nothing moved has {start:.3f}."
)

# %% [markdown]
# ## Over several trainings
#
# A repair of one training may be luck. These are several, with other random numbers:

# %% tags=["remove-input", "live"]
labkit.say(labkit.describe_bars())

# %% [markdown]
# ## Take away
#
# Training has to contain what will change, or the network must not look at it. The price on the old images belongs to the
# result.
#
# ## Quiz

# %% tags=["hide-input"]
labkit.quiz("repair")

# %% [markdown]
# ## Read next
#
# MIND is of Heinrich and colleagues {cite}`heinrich2012`. The book's experiment on causes does the full version of this
# lesson, with published networks. Then lesson 6: is any of this more than chance?
