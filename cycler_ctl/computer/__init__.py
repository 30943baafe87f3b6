"""The computer around a station: whether it sleeps, what its ports and disk are like."""
