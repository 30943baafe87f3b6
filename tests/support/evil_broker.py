"""A broker that hears who connects, says whatever it was given to say, and waits for the other side to hang up."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence

WELCOME = b"\x20\x03\x00\x00\x00"  # CONNACK of MQTT 5
UNREADABLE_TOPIC = b"\x30\x0a\x00\x02\xff\xfe\x00hello"
NONSENSE = (
    b"\x30\x02\xff\xff",
    WELCOME + b"\x30\x02\xff\xff",
    WELCOME + UNREADABLE_TOPIC,
    WELCOME + b"\x30\x0a\x00\x01a\xff\xff\xff\xff\xff..",
    b"\x20\x08\x00\x00\x05\xee\xff\xff\xff\xff",
    b"\x20\x03\x00\xfe\x00",
    WELCOME + b"\x40\x01\x00",
    WELCOME + b"\x90\x00",
    WELCOME + b"\xf0\x00",
    WELCOME + b"\xe0\x02\xfd\x00",
)


class Evil:
    """Of ``words`` each connection hears the next, and the last one for ever."""

    def __init__(self, words: Sequence[bytes]) -> None:
        self.asked: list[bytes] = []
        self.left = 0
        """Connections that the station ended."""
        self._words = words
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> Evil:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                with self._server.accept()[0] as link:
                    link.settimeout(3.0)
                    with contextlib.suppress(TimeoutError):
                        self._answer(link)

    def _answer(self, link: socket.socket) -> None:
        with contextlib.suppress(ConnectionError):
            self.asked.append(link.recv(4096))
            link.sendall(self._words[min(len(self.asked), len(self._words)) - 1])
            while link.recv(4096):
                pass
        self.left += 1
