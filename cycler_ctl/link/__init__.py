"""Links: one wire to one instrument, chosen by its address."""
