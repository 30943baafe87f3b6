"""What systemd is told, if it is the one that started us: sd_notify(3), a datagram to the socket it named."""

from __future__ import annotations

import os
import socket

VARIABLE = "NOTIFY_SOCKET"
FED_EVERY_S = 1.0
Address = str | bytes


def notify(text: str) -> bool:
    """Whether somebody was told. Nobody is waited for: a manager that does not listen must not stop anything."""
    address = os.environ.get(VARIABLE)
    family = getattr(socket, "AF_UNIX", None)
    if not address or family is None:
        return False
    where: Address = b"\0" + address[1:].encode() if address.startswith("@") else address
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as link:
            link.settimeout(0.0)
            link.sendto(text.encode(), where)
    except OSError:
        return False
    return True


class Watchdog:
    """Fed by work that was done, never by a timer of its own (reliability I-6); at most once a second."""

    def __init__(self) -> None:
        self._fed_s: float | None = None
        self._is_there = VARIABLE in os.environ

    def fed(self, now_s: float) -> None:
        if self._is_there and (self._fed_s is None or now_s - self._fed_s >= FED_EVERY_S):
            self._fed_s = now_s
            notify("WATCHDOG=1")
