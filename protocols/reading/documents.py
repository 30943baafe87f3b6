"""Files as text: bounded, UTF-8, and nothing but the file named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from protocols.syntax import LARGEST_FILE


@dataclass(frozen=True, slots=True)
class Document:
    """A text and the name people know it by."""

    name: str
    text: str


class Unreadable(Exception):  # noqa: N818 - said to the user as a diagnostic
    """Why a file is not a text we can read."""


def read_document(path: Path, name: str | None = None) -> Document:
    """The file's text; raises ``Unreadable``. One byte more than allowed is read, so that the check can say so."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        raise Unreadable(getattr(error, "strerror", None) or str(error)) from error
    try:
        return Document(name or str(path), data.decode("utf-8"))
    except UnicodeDecodeError as error:
        if len(data) > LARGEST_FILE:
            return Document(name or str(path), data.decode("utf-8", "replace"))
        raise Unreadable(f"it is not UTF-8 text (byte {error.start + 1}); save it as UTF-8") from error
