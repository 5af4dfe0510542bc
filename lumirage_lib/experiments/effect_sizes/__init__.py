"""Notebook 07: one difference, two effect sizes; on the IXI results of others."""
