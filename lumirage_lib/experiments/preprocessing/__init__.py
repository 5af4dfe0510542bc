"""Notebook 05: what a change of the preprocessing costs each method."""
