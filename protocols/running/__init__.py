"""How the engine advances a run: the parts behind ``engine``."""
