"""Ended runs copied to a group's folder: whole, read back, once, and never in control's way."""
