"""Training of our own networks: images of training subjects alone, no labels.

:func:`lumirage_lib.methods.training.loop.train` trains by a recipe; only it needs torch.
"""

from .recipes import HELD_OUT_MAPS, RECIPES, Recipe, get_recipe

__all__ = ["HELD_OUT_MAPS", "RECIPES", "Recipe", "get_recipe"]
