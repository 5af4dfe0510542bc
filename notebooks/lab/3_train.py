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
# # Lesson 3: train a network
#
# **Goals.** You have read a whole registration network and its training, one page of PyTorch, and watched it
# learn. You can say what it is paid for, what it never sees, and on whom it is tested.
#
# **You need** lessons 1 and 2, and to have seen a convolution. **It helps** to know PyTorch. **Time** 14 minutes.
#
# ```{admonition} Write down before you start
# :class: tip
# After a minute of training: which share of the Dice that greedy gains will the network gain? Write a number between 0
# and 1.
# ```

# %% tags=["parameters"]
steps: int = 300  # of training; on a slow laptop take half

# %%
my_prediction = None  # share of greedy's gain that the network will reach

# %% tags=["hide-input"]
import inspect
import time

import labkit
import network
import torch
from IPython.display import Code
from measures import register, register_greedy, score
from slices import make_held_out, make_training, warp

# %% [markdown]
# ## The network
#
# Two images go in, a displacement comes out. Read it from top to bottom; it is the file `network.py`, and nothing is
# hidden elsewhere.

# %%
Code(inspect.getsource(network.Network), language="python")

# %% [markdown]
# **Stop and ask.** Why is the last layer almost zero at first? What would happen without `exponentiate`?
#
# ## What it is paid for
#
# The moved image shall look like the fixed one, and the field shall be smooth. There are no labels here, and no true
# displacements.

# %%
Code(
    "\n\n".join(map(inspect.getsource, (network.similarity, network.roughness, network.train))),
    language="python",
)

# %% [markdown]
# ## On whom it is trained, and on whom it is tested
#
# Six subjects. How are they divided? `"by subject"`, `"by pair"`, `"by slice"`, `"at random"`.

# %%
my_split = None

# %%
labkit.check("split", my_split)

# %% tags=["hide-cell"]
labkit.check("split", "by subject")  # the solution

# %% [markdown]
# ## Train
#
# There are 128 pairs: slices of the training subjects, bent at random. Every step takes four of them, and so every
# pair comes back many times.

# %% mystnb={"image": {"alt": "The loss against the step of the training: it falls fast at first, then slowly."}}
pairs = make_training()
begin = time.process_time()
trained, losses = network.train(pairs, steps, watch=labkit.watch_losses())
print(f"{steps} steps, {time.process_time() - begin:.0f} processor seconds")
labkit.keep(trained, steps)  # for lessons 4 and 5

# %% [markdown]
# ## Test
#
# On pairs of subjects that it has never seen, with doing nothing and greedy beside it.

# %%
held_out = make_held_out()
training_pairs = pairs.take(slice(8))
fields = {
    "nothing moved": torch.zeros_like(held_out.truth),
    "network": register(trained, held_out),
    "greedy": register_greedy(held_out.fixed, held_out.moving),
}
means = {name: score(held_out, field).mean() for name, field in fields.items()}
labkit.table([{"method": name, **mean.to_dict()} for name, mean in means.items()])

# %%
moved = {name: warp(held_out.moving, fields[name])[0] for name in ("network", "greedy")}
labkit.show(
    labkit.draw_images({"moving": held_out.moving[0], **moved, "fixed": held_out.fixed[0]}),
    "trained",
    "One held-out pair (of 8, 2 subjects): the moving image, moved by the network and by greedy, and the fixed image.",
    "Four axial slices; both moved images resemble the fixed one more than the moving image does.",
)

# %% [markdown]
# **What did the network gain?** Mean Dice, on held-out pairs, over doing nothing. Compute it from `means`.

# %%
my_gain = None  # for example means["network"]["dice"] - ...

# %%
on_training = score(training_pairs, register(trained, training_pairs))["dice"].mean()
known = {
    "start": means["nothing moved"]["dice"],
    "network": means["network"]["dice"],
    "training": on_training,
}
labkit.check("gain", my_gain, **known)

# %% tags=["hide-cell"]
labkit.check(
    "gain", means["network"]["dice"] - means["nothing moved"]["dice"], **known
)  # the solution

# %% tags=["remove-input"]
gain = {
    name: means[name]["dice"] - means["nothing moved"]["dice"] for name in ("network", "greedy")
}
labkit.say(
    f"The network gains {gain['network']:+.3f} and greedy {gain['greedy']:+.3f}: a share of "
    f"{gain['network'] / gain['greedy']:.2f} after {steps} steps. The published networks of this book were trained for days."
)

# %% [markdown]
# ## Other seeds
#
# One training is one draw. Here it was trained again, with other random numbers:

# %% tags=["remove-input", "live"]
labkit.say(labkit.describe_bars().split("\n")[0])

# %% [markdown]
# ## Take away
#
# A registration network learns from images alone. What it gains is counted on people it has never seen.
#
# ## Quiz

# %% tags=["hide-input"]
labkit.quiz("train")

# %% [markdown]
# ## Read next
#
# [Methods](../../methods.md): what each published network was trained on, and how we know. Then lesson 4: break yours.
