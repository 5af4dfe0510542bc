"""Training of our own networks: images of training subjects alone, no labels."""

from .loop import train
from .recipes import RECIPES, Recipe, get_recipe

__all__ = ["RECIPES", "Recipe", "get_recipe", "train"]
