"""One run: from its start to its last record. ``cycler_ctl.runner`` is the place where the parts meet."""
