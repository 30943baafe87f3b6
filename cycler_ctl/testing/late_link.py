"""A link whose answers come one question late, as after a time-out that nobody looked into."""

from __future__ import annotations

from cycler_ctl.errors import LinkTimeout
from cycler_ctl.instrument import Link


class LateLink:
    """Passes everything through; asked to ``be_late``, answers come one question late until ``clear``."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._late_after: int | None = None
        self._held: list[bytes] = []
        self.has_lost = False
        """Since ``be_late`` was asked."""
        self.first = b""
        """The first message of all."""

    @property
    def address(self) -> str:
        return self._link.address

    @property
    def is_out_of_step(self) -> bool:
        return bool(self._held)

    def be_late(self, after: int = 0) -> None:
        """From the answer on that comes after so many."""
        self._late_after = after
        self.has_lost = False

    def be_on_time(self) -> None:
        self._late_after = None

    def now(self) -> float:
        return self._link.now()

    async def write(self, message: bytes) -> None:
        self.first = self.first or message
        await self._link.write(message)

    async def query(self, message: bytes) -> bytes:
        self.first = self.first or message
        answer = await self._link.query(message)
        if self._is_late_now():
            self._held.append(answer)
            raise LinkTimeout("held back by the contract kit")
        if not self._held:
            return answer
        self._held.append(answer)
        return self._held.pop(0)

    async def clear(self) -> None:
        await self._link.clear()
        self._held.clear()

    def _is_late_now(self) -> bool:
        if self._late_after is None:
            return False
        self.has_lost = self._late_after == 0
        self._late_after = None if self.has_lost else self._late_after - 1
        return self.has_lost
