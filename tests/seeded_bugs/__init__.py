"""Bugs put into a copy of the service on purpose, each of which breaks one rule (``python -m tests.seeded_bugs``)."""
