"""A raw blocking client, for the reaction: asks one instrument at 10 Hz, and says OFF to the reading that has crossed."""

from __future__ import annotations

import socket
import sys
from threading import Event

from benchmarks.floor import CUT_OFF_V, READING, SETTINGS
from benchmarks.placing import pin, realtime

OFF = b":OUTP1 OFF\n"


def main(port: int, hz: float) -> None:
    pause = Event()  # never set
    with socket.create_connection(("127.0.0.1", port)) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.sendall(SETTINGS)
        while True:
            wire.sendall(READING)
            if float(wire.recv(4096).split(b",", 1)[0]) >= CUT_OFF_V:
                wire.sendall(OFF)
            pause.wait(1 / hz)


if __name__ == "__main__":
    pin(measured=True)
    realtime(5)
    main(int(sys.argv[1]), float(sys.argv[2]))
