"""Notebook 04: what memory a resolution takes, and what accuracy it gives."""
