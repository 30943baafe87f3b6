"""What can go wrong between an instrument and its host, switched on by name, for the next so many exchanges.

``Line`` stands between any transport and any simulated instrument. It knows no sockets and sleeps nowhere: it says
what to send and how much later, so a server and an in-memory link show the same faults.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence, Set
from dataclasses import dataclass
from random import Random
from typing import Protocol


class Instrument(Protocol):
    """What every simulated instrument offers to its line."""

    log: deque[tuple[float, bytes]]
    serial: str

    @property
    def model(self) -> str: ...
    def receive(self, data: bytes) -> bytes: ...
    def line_lost(self) -> None: ...
    def power_cycle(self) -> None: ...
    def set_fault(self, name: str, value: str | float) -> None: ...
    def truth(self) -> dict[str, object]: ...


LINE_FAULTS = {
    "drop": "the reply is lost",
    "delay": "the reply comes `seconds` later, and what follows waits behind it",
    "garble": "some bytes of the reply are changed",
    "truncate": "the reply ends early, without its terminator",
    "split": "the reply comes in single bytes",
    "merge": "the reply is held back and comes with the next one",
    "lose": "the command is lost before the instrument sees it",
    "lose byte": "one byte of the command is lost, as on a serial line without handshake",
    "silence": "the instrument hears nothing and says nothing",
    "disconnect": "the connection is closed instead of a reply; the command was carried out",
    "reboot": "the instrument loses power for a moment instead of taking the command",
}

INPUT_FAULTS = frozenset({"lose", "silence", "reboot"})
REPLY_FAULTS = frozenset({"drop", "delay", "garble", "truncate", "split", "merge"})


@dataclass(slots=True)
class LineFault:
    """``count`` exchanges are hit, None means until cleared; ``match`` restricts it to commands that hold it."""

    kind: str
    count: int | None = 1
    match: bytes = b""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """Bytes to send ``after_s`` from now; ``close`` ends the connection instead."""

    data: bytes
    after_s: float = 0.0
    close: bool = False


class SerialSide(Protocol):
    """What an RS-232 line does to bytes in both directions."""

    host_baud: int

    def hear(self, data: bytes) -> bytes: ...
    def say(self, heard: bytes, replies: Sequence[Delivery]) -> Sequence[Delivery]: ...


class Line:
    """One instrument behind one line with its faults. ``hits`` counts how often each fault struck."""

    def __init__(self, instrument: Instrument, seed: int = 0, serial: SerialSide | None = None) -> None:
        self.instrument = instrument
        self.serial = serial
        self.faults: list[LineFault] = []
        self.hits: dict[str, int] = {}
        self._random = Random(seed)  # noqa: S311 - faults, not secrets
        self._held = b""

    def inject(self, fault: LineFault) -> None:
        if fault.kind not in LINE_FAULTS:
            raise ValueError(f"no fault {fault.kind!r}; there are {', '.join(LINE_FAULTS)}")
        self.faults.append(fault)

    def clear_faults(self) -> None:
        self.faults.clear()

    def receive(self, data: bytes) -> bytes:
        """The fast way while no fault is set."""
        if self._held:
            held, self._held = self._held, b""
            return held + self.instrument.receive(data)
        return self.instrument.receive(data)

    @property
    def is_plain(self) -> bool:
        """Whether ``receive`` may be used: nothing comes late, nothing is lost."""
        return not self.faults and self.serial is None

    def exchange(self, data: bytes) -> Sequence[Delivery]:
        """What the host's bytes bring back by this wire, with whatever fault is due."""
        if self.serial is None:
            return self._exchange(data)
        return self.serial.say(data, self._exchange(self.serial.hear(data)))

    def _exchange(self, data: bytes) -> Sequence[Delivery]:
        """Nothing may be left of the data.

        Faults of a reply wait for one: a command that is not answered does not use them up.
        """
        if not data:
            return ()
        before = self._due(data, INPUT_FAULTS)
        if before is not None:
            if before.kind == "reboot":
                self.instrument.power_cycle()
            return ()
        reply = self.receive(self._thinned(data) if self._due(data, {"lose byte"}) else data)
        if self._due(data, {"disconnect"}):
            return (Delivery(b"", close=True),)
        return self._send(self._due(data, REPLY_FAULTS), reply) if reply else ()

    def _due(self, data: bytes, kinds: Set[str]) -> LineFault | None:
        for fault in self.faults:
            if fault.kind in kinds and fault.match in data:
                self.hits[fault.kind] = self.hits.get(fault.kind, 0) + 1
                if fault.count is not None:
                    fault.count -= 1
                    if fault.count <= 0:
                        self.faults.remove(fault)
                return fault
        return None

    def _send(self, fault: LineFault | None, reply: bytes) -> Sequence[Delivery]:
        match fault.kind if fault else "":
            case "drop":
                return ()
            case "merge":
                self._held = reply
                return ()
            case "garble":
                return (Delivery(self._garbled(reply)),)
            case "truncate":
                return (Delivery(reply[: self._random.randrange(1, len(reply))]),)
            case "split":
                return [Delivery(reply[i : i + 1], after_s=1e-4 * i) for i in range(len(reply))]
            case _:
                return (Delivery(reply, after_s=fault.seconds if fault and fault.kind == "delay" else 0.0),)

    def _thinned(self, data: bytes) -> bytes:
        at = self._random.randrange(len(data))
        return data[:at] + data[at + 1 :]

    def _garbled(self, reply: bytes) -> bytes:
        """At least one byte differs; a terminator stays, so that a wrong line arrives whole."""
        changed = bytearray(reply)
        body = len(reply.rstrip(b"\r\n")) or len(reply)
        for _ in range(max(1, body // 10)):
            changed[self._random.randrange(body)] ^= self._random.choice((0x01, 0x04, 0x10, 0x40))
        return bytes(changed) if bytes(changed) != reply else bytes([reply[0] ^ 0x01]) + reply[1:]
