"""Macaque brains."""
