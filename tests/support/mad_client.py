"""A program that publishes a thousand commands a second, and now and then far too long ones, until its input ends.

``python mad_client.py <port> <topic>``; it says when it begins, and how many went out.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

LONG = 500_000
HUGE = b"\x30\x80\x80\x80\x32"
"""The head of a PUBLISH of 100 MiB."""


def flood(port: int, topic: str, over: threading.Event) -> int:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="mad")
    client.connect("127.0.0.1", port)
    client.loop_start()
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    sent = 0
    while not over.wait(0.02):
        for _ in range(25):
            client.publish(topic, b"{" + os.urandom(300))
        sent += 25
        if sent % 1000 == 0:
            client.publish(topic, bytes(LONG))
            announce(port)
    client.disconnect()
    client.loop_stop()
    return sent


def announce(port: int) -> None:
    """A message of 100 MiB of its own connection, as far as the broker takes it."""
    connect = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04huge"
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0) as link:
        link.settimeout(1.0)
        link.sendall(connect)
        link.recv(4)
        link.sendall(HUGE)
        for _ in range(100):
            link.sendall(bytes(1024 * 1024))


def main() -> None:
    over = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    sys.stdout.write(f"{flood(int(sys.argv[1]), sys.argv[2], over)}\n")


if __name__ == "__main__":
    main()
