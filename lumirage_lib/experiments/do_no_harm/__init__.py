"""Do no harm: what a registration invents, and what it misses."""
