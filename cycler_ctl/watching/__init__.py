"""Between station and guardian: lease, register, latch, safe-off. ``cycler_ctl.guardian`` is the parent process."""
