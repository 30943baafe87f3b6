"""``station.toml``, read and checked; ``cycler_ctl.config`` is the way in."""
