"""What a plan says and forecasts: the parts behind ``plan``."""
