"""Tools for tests and for driver authors: virtual time, the contract kit."""
