"""Instrument drivers: one module per family, found by entry point, importing only ``cycler_ctl``."""
