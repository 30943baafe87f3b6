"""Figures of runs for a paper or a browser: what is drawn is decided once, how it looks on paper and on a page apart."""
