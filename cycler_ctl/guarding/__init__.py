"""What the guard goes by: limits, and what one reading after another tells. Pure; ``cycler_ctl.guard`` puts it together."""
