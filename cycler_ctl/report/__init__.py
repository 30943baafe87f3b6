"""One page that proves a run: its facts from the run file alone, in words for people and as JSON."""
