"""A queue per channel: what waits to be run there, and what a person must say before it is."""
