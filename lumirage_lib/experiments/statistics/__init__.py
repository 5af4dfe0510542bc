"""How differences are tested."""
