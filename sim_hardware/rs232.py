"""An instrument's RS-232 side: its menu, its input queue, and what a host that is set otherwise makes of the bytes.

After the 2400 Series user's manual (2400S-900-01 Rev. K p. 14-13 to 14-15) and, for the three quarters, that of the 2000
(p. 4-22). How long its input queue is, is not told: 256 bytes are assumed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sim_hardware.faults import Delivery

XON, XOFF = b"\x11", b"\x13"
ABORTS = b"\x03\x18"
PARITY_ERROR, FRAMING_ERROR, OVERRUN = -361, -362, -363  # table B-1
BITS_PER_BYTE = 10
HIGH_BIT = 0x80


@dataclass(frozen=True, slots=True)
class Menu:
    """What is chosen at the front panel. ``busy_s``: how long each message takes, during which the queue fills.

    ``echo``: of an adapter or terminal server on the way, not of the instrument, which has none.
    """

    baud: int = 9600
    parity: str = "N"
    flow: str = "NONE"
    queue: int = 256
    busy_s: float = 0.01
    echo: bool = False


class Rs232:
    """Between line and parser. ``host_baud`` and ``host_parity`` are how the host's port is set."""

    def __init__(self, menu: Menu, fail: Callable[[int], None], now: Callable[[], float]) -> None:
        self.menu = menu
        self.host_baud, self.host_parity = menu.baud, "N"
        self.fullest = 0
        self._fail = fail
        self._now = now
        self._queued: deque[tuple[float, int]] = deque()
        self._unfinished = 0
        self._is_held = False
        self._is_stopped = False
        self._unsent: list[Delivery] = []

    def hear(self, data: bytes) -> bytes:
        """What of the host's bytes gets to the parser."""
        return bytes(byte for byte in data if self._takes(byte))

    def say(self, heard: bytes, replies: Sequence[Delivery]) -> Sequence[Delivery]:
        """What the host sees of the replies, later by what stands in the queue before them."""
        echo = [Delivery(heard)] if self.menu.echo and heard else []
        late_s = self._busy_for()
        told = [replace(one, data=self._garbled(one.data), after_s=one.after_s + late_s) for one in replies]
        if self._is_stopped:
            self._unsent += told
            told = []
        elif self._unsent:
            told, self._unsent = [*self._unsent, *told], []
        return [*echo, *self._holding(), *told]

    def _takes(self, byte: int) -> bool:
        if self.host_baud != self.menu.baud:
            self._fail(FRAMING_ERROR)
            return False
        if not _parity_agrees(byte, self.host_parity, self.menu.parity):
            self._fail(PARITY_ERROR)
            return False
        if byte in XON + XOFF and self.menu.flow == "XON/XOFF":
            self._is_stopped = byte == XOFF[0]
            return False
        if byte in ABORTS:
            self._queued.clear()
            self._unfinished = 0
            return True
        return self._queues(byte)

    def _queues(self, byte: int) -> bool:
        if self._filled() >= self.menu.queue:
            self._fail(OVERRUN)
            return False
        self._unfinished += 1
        self.fullest = max(self.fullest, self._filled())
        if byte == ord("\r") or (byte == ord("\n") and self._unfinished > 1):
            done_s = self._now() + self._busy_for() + self.menu.busy_s
            self._queued.append((done_s, self._unfinished))
            self._unfinished = 0
        return True

    def _filled(self) -> int:
        now_s = self._now()
        while self._queued and self._queued[0][0] <= now_s:
            self._queued.popleft()
        return self._unfinished + sum(length for _, length in self._queued)

    def _busy_for(self) -> float:
        self._filled()
        return max(0.0, self._queued[-1][0] - self._now()) if self._queued else 0.0

    def _holding(self) -> Sequence[Delivery]:
        """XOFF above three quarters, and XON for when it will be below half."""
        if self.menu.flow == "NONE" or self._filled() <= 0.75 * self.menu.queue:
            return ()
        left = self._filled()
        for done_s, length in self._queued:
            left -= length
            if left < self.menu.queue / 2:
                return Delivery(XOFF), Delivery(XON, after_s=max(0.0, done_s - self._now()))
        return (Delivery(XOFF),)

    def _garbled(self, data: bytes) -> bytes:
        """At another baud rate nothing is left of the bytes; with parity in the eighth bit it may be set."""
        if self.host_baud != self.menu.baud:
            return bytes(byte ^ 0xA5 | HIGH_BIT for byte in data)
        if self.menu.parity == self.host_parity:
            return data
        return bytes(_with_parity(byte, self.menu.parity) for byte in data)


def _with_parity(byte: int, parity: str) -> int:
    """Seven bits and their parity, as a host without parity reads them."""
    seven = byte & ~HIGH_BIT
    is_odd = bool(seven.bit_count() % 2)
    return seven | HIGH_BIT if parity != "N" and is_odd == (parity == "E") else seven


def _parity_agrees(byte: int, host: str, menu: str) -> bool:
    """Seven bits with parity on one side and eight without on the other: the eighth bit is taken for parity."""
    return menu in {host, "N"} or _with_parity(byte, menu) == byte
