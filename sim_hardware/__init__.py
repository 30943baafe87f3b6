"""Simulated instruments and cells at the level of the wire; imports none of the other packages."""
