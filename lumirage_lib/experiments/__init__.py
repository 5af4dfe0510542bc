"""One experiment, one room."""
