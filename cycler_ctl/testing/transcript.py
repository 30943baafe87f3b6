"""A link that plays a written conversation: what a driver sends must be what stands there, and all of it."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager

from cycler_ctl.errors import LinkError, LinkTimeout

Answer = bytes | LinkError | None
CLEAR = b"<clear>"


class TranscriptBroken(AssertionError):  # noqa: N818 - an assertion of a test, named for what happened
    """The driver said something else, or less."""


class TranscriptLink:
    """``pairs``: (sent, answered) in order.

    None: a command, or a question nobody answers (LinkTimeout; then, as on a real link, only ``clear`` helps). A
    LinkError is raised. ``(CLEAR, None)`` expects ``clear()``. ``now()`` counts the exchanges.
    """

    address = "transcript"

    def __init__(self, pairs: Iterable[tuple[bytes, Answer]]) -> None:
        self._left = list(pairs)
        self._said = 0
        self._in_step = True

    @property
    def left(self) -> tuple[tuple[bytes, Answer], ...]:
        return tuple(self._left)

    def now(self) -> float:
        return float(self._said)

    async def write(self, message: bytes) -> None:
        answer = self._next(message)
        if isinstance(answer, LinkError):
            raise answer
        if answer is not None:
            raise TranscriptBroken(f"{message!r} was written, but the transcript has an answer to it: {answer!r}")

    async def query(self, message: bytes) -> bytes:
        if not self._in_step:
            raise LinkTimeout("the transcript is out of step: clear it first")
        answer = self._next(message)
        if isinstance(answer, bytes):
            return answer
        self._in_step = False
        raise answer or LinkTimeout(f"the transcript has no answer to {message!r}")

    async def clear(self) -> None:
        self._next(CLEAR)
        self._in_step = True

    def _next(self, message: bytes) -> Answer:
        if not self._left:
            raise TranscriptBroken(f"{message!r} was sent after the end of the transcript")
        expected, answer = self._left.pop(0)
        if message != expected:
            raise TranscriptBroken(f"exchange {self._said}: {message!r} was sent, expected {expected!r}")
        self._said += 1
        return answer


@contextmanager
def transcript(*pairs: tuple[bytes, Answer]) -> Generator[TranscriptLink]:
    """A TranscriptLink that must be used up on leaving."""
    link = TranscriptLink(pairs)
    yield link
    if link.left:
        raise TranscriptBroken(f"{len(link.left)} exchanges were never made, the first: {link.left[0][0]!r}")
