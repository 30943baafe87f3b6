"""The language described and laid out: schema, reference, ``fmt``."""
