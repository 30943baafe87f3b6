"""What a translation says: why it was refused, and what it did not carry over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

MOST_REFUSALS = 100


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the other language cannot say; ``path`` is the step's, empty for the whole protocol."""

    path: str
    message: str

    def told(self, file_name: str) -> str:
        return f"{file_name}: {f'step {self.path}: ' if self.path else ''}{self.message}"


class NotSayable(Exception):  # noqa: N818 - said to the user, refusal by refusal
    """Nothing was written."""

    def __init__(self, refusals: Iterable[Refusal]) -> None:
        self.refusals = tuple(refusals)
        super().__init__("; ".join(f"{each.path}: {each.message}" for each in self.refusals))


@dataclass(slots=True)
class Ledger:
    """Refusals and losses so far; the only thing in a translation that grows."""

    target: str
    refusals: list[Refusal] = field(default_factory=list[Refusal])
    lost: list[str] = field(default_factory=list[str])
    changed: list[str] = field(default_factory=list[str])

    def refuse(self, path: str, what: str) -> None:
        refusal = Refusal(path, f"{self.target} cannot say {what}")
        if refusal not in self.refusals:
            self.refusals.append(refusal)
        if len(self.refusals) >= MOST_REFUSALS:
            raise NotSayable(self.refusals)

    def lose(self, what: str) -> None:
        if what not in self.lost:
            self.lost.append(what)

    def change(self, what: str) -> None:
        if what not in self.changed:
            self.changed.append(what)

    def finish(self) -> None:
        if self.refusals:
            raise NotSayable(self.refusals)


@dataclass(frozen=True, slots=True)
class Exported:
    """The text in the other language, and what to say about it."""

    text: str
    changed: tuple[str, ...]
    lost: tuple[str, ...]

    def report(self) -> str:
        named = (("changed", self.changed), ("not carried over", self.lost))
        return "".join(f"{title}: {line}\n" for title, lines in named for line in lines)


def exported(ledger: Ledger, text: str) -> Exported:
    return Exported(text, tuple(ledger.changed), tuple(ledger.lost))
