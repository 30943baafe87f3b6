"""How a protocol file becomes a Program: the readers behind ``check``."""
