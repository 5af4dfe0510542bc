"""Which registrations each notebook needs: a function of its parameters, one module a question."""
