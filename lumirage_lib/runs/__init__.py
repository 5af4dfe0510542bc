"""Registrations as rows: tasks, child processes, the store, profiles."""
