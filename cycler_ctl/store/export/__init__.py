"""Finished tables for other people's programs, made from the run files."""
