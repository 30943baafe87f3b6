"""Alarms and ended runs by mail, chat or phone; a service that fails or hangs delays nobody."""
