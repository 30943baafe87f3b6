"""The commands of ``cycler_ctl.cli``: what they do and how they say it."""
