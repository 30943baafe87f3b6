"""One file to another disk so that what lies there under its name is proved to be what was meant."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from cycler_ctl.errors import StoreError
from cycler_ctl.store.export.atomic import sha256_of

BLOCK = 1 << 20


class OtherFileError(StoreError):
    """Something else has this name on the share; it is never written over."""


def copy_verified(source: Path, target: Path, go_on: Callable[[], bool]) -> str:
    """Copy under another name, read it back, compare, give it its name; returns the sha256.

    A file that is there already and is the same is left as it is. StoreError, OSError: nothing has the name then.
    """
    expected = sha256_of(source)
    if target.exists():
        if sha256_of(target) == expected:
            return expected
        raise OtherFileError(f"{target} is another file than {source.name} of this station: it was left as it is")
    target.parent.mkdir(exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{expected[:8]}.part")
    try:
        _copy(source, unfinished, go_on)
        if sha256_of(unfinished) != expected:
            raise StoreError(f"{target}: what was written to the share is not what it gives back")
        _name(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
    return expected


def _copy(source: Path, target: Path, go_on: Callable[[], bool]) -> None:
    with source.open("rb") as file, target.open("wb") as copy:
        while block := file.read(BLOCK):
            if not go_on():
                raise StoreError("the service is ending: the copy is made at the next start")
            copy.write(block)
        copy.flush()
        os.fsync(copy.fileno())


def _name(unfinished: Path, target: Path) -> None:
    """A link refuses a name that is taken, also by another PC a moment ago; not every share can link."""
    try:
        target.hardlink_to(unfinished)
    except FileExistsError as error:
        raise OtherFileError(f"{target} was written by someone else meanwhile: it was left as it is") from error
    except OSError:
        if target.exists():
            raise OtherFileError(f"{target} was written by someone else meanwhile: it was left as it is") from None
        unfinished.rename(target)
