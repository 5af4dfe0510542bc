"""Volumes, mappings, preprocessing, contrast: arrays with a place in the world."""
