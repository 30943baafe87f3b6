"""A checked program in another program's language; what that cannot say is refused by name."""
