"""What an import says: problems that stop it, and what was kept, changed or lost where it went on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from protocols.diagnostics import printable
from protocols.reading.documents import Document
from protocols.syntax import LARGEST_FILE

MOST_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class Request:
    """A foreign file and how to read it. ``cell``: a file whose cell (and safety) the protocol is to carry."""

    document: Document
    discharge_means: str = "lithiate"
    cell: Document | None = None
    skip_unsupported: bool = False

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.document.text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a file cannot be imported; ``place`` is where in it: ``method[3].rate_C`` or ``12:5``."""

    place: str
    message: str

    def told(self, file_name: str) -> str:
        joint = ":" if self.place[:1].isdigit() else ": "
        place = f"{joint}{self.place}" if self.place else ""
        return printable(f"{file_name}{place}: {self.message}")


class Refused(Exception):  # noqa: N818 - said to the user, problem by problem
    """Nothing was imported or written."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{each.place}: {each.message}" for each in self.problems))


class Wrong(Exception):  # noqa: N818
    """Not a protocol of that program at all."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(place, message)


class Unsupported(Wrong):
    """A good protocol there, which this language cannot say."""


@dataclass(slots=True)
class Notebook:
    """What the import has to tell so far; the only thing in it that grows."""

    skip_unsupported: bool
    kept: list[str] = field(default_factory=list[str])
    changed: list[str] = field(default_factory=list[str])
    lost: list[str] = field(default_factory=list[str])
    problems: list[Problem] = field(default_factory=list[Problem])

    def skipped(self, error: Wrong) -> bool:
        """Whether to go on without what ``error`` names; if not, it is a problem."""
        if self.skip_unsupported and isinstance(error, Unsupported):
            self.lost.append(f"{error.problem.place}: {error.problem.message}")
            return True
        self.problems.append(error.problem)
        if len(self.problems) >= MOST_PROBLEMS:
            raise Refused(self.problems)
        return False


@dataclass(frozen=True, slots=True)
class Imported:
    """The protocol's text and what to say about it."""

    text: str
    kept: tuple[str, ...]
    changed: tuple[str, ...]
    lost: tuple[str, ...]

    def report(self) -> str:
        named = (("kept as", self.kept), ("changed", self.changed), ("could not be kept", self.lost))
        return "".join(f"{title}: {printable(line)}\n" for title, lines in named for line in lines)


def refuse_too_large(request: Request) -> None:
    if len(request.document.text) > LARGEST_FILE:
        raise Refused([Problem("", f"the file is larger than {LARGEST_FILE // 1024} KiB")])
