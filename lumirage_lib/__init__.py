"""LUMirage: what registration networks keep, and lose, away from the images they were trained on."""

__version__ = "0.1.0"
