"""Protocols of other programs to files in this language, each with a report of what changed or could not be kept."""
