"""``cycler-ctl fmt``: protocol files in one layout, and nothing else about them changed.

A file is written only if the reader had nothing against it, the laid-out text means exactly the same, no comment is
missing, and laying it out again changes nothing. A byte order mark and Windows line ends stay.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cycler_ctl.errors import ConfigError
from protocols.check import Checked, check_text
from protocols.describing.layout import laid_out
from protocols.describing.layout_tree import CannotLayOut, read_source
from protocols.diagnostics import Diagnostic, has_errors, render_all
from protocols.reading.documents import Unreadable, read_document
from protocols.reading.sections import SECTIONS
from protocols.syntax import Mapping, parse

BYTE_ORDER_MARK = "\ufeff"
PROBE = "protocol: 1\nname: probe\ninclude: part.yaml\nsteps:\n  - rest: 1 s\n"


@dataclass(frozen=True, slots=True)
class Fashion:
    """What belongs to a file, not to its layout."""

    mark: str
    line_end: str

    def dress(self, text: str) -> str:
        return self.mark + text.replace("\n", self.line_end)


def format_files(files: Sequence[Path], *, check_only: bool) -> int:
    """0: all are laid out now; 1: a file has errors or could not be written, or with ``check_only`` would change."""
    return max([_format_file(file, check_only=check_only) for file in files], default=0)


def _format_file(file: Path, *, check_only: bool) -> int:
    try:
        old = read_document(file).text
        new = formatted(old, file)
    except (Unreadable, CannotLayOut, ConfigError) as error:
        sys.stderr.write(f"{error}\n" if isinstance(error, ConfigError) else f"{file} is left as it is: {error}\n")
        return 1
    if new == old:
        return 0
    if check_only:
        sys.stdout.write(f"{file}: would be laid out anew\n")
        return 1
    return _written(file, old, new)


def _written(file: Path, old: str, new: str) -> int:
    try:
        _replace(file, old, new)
    except CannotLayOut as error:
        sys.stderr.write(f"{file} is left as it is: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"{file} is left as it is: it cannot be written: {error.strerror}\n")
        return 1
    sys.stdout.write(f"{file}: laid out anew\n")
    return 0


def formatted(text: str, file: Path) -> str:
    """The text in one layout; ConfigError with what is wrong in it, CannotLayOut where it is better left alone."""
    before = _checked(text, file)
    if has_errors(before.diagnostics):
        raise ConfigError(render_all(before.diagnostics))
    fashion = _fashion_of(text)
    plain = text.removeprefix(BYTE_ORDER_MARK).replace("\r\n", "\n")
    for respell in (True, False):
        new = laid_out(plain, respell=respell)
        stable = laid_out(new, respell=respell) == new and comments_of(new) == comments_of(plain)
        if stable and _same_meaning(before, _checked(fashion.dress(new), file)):
            return fashion.dress(new)
    raise CannotLayOut("its meaning or a comment would not survive; please report this file")


def _fashion_of(text: str) -> Fashion:
    """A file with line ends of both kinds gets the more frequent one."""
    windows = text.count("\r\n")
    return Fashion(
        BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else "",
        "\r\n" if windows * 2 > text.count("\n") else "\n",
    )


def _same_meaning(before: Checked, after: Checked) -> bool:
    return after.program == before.program and _said(after.diagnostics) == _said(before.diagnostics)


def _said(diagnostics: Sequence[Diagnostic]) -> list[tuple[str, str]]:
    return sorted((each.code, each.message) for each in diagnostics)


def comments_of(text: str) -> list[str]:
    """Sorted: a comment may move to another line, never vanish."""
    return sorted(each.text for each in read_source(text).comments)


def _checked(text: str, file: Path) -> Checked:
    return _checked_part(text, file) if _is_part(text) else check_text(text, str(file), folder=file.parent)


def _is_part(text: str) -> bool:
    """A file to include: sections that protocols share, and nothing else."""
    root = parse(text, "").root
    return isinstance(root, Mapping) and bool(root.entries) and all(e.key.value in SECTIONS for e in root.entries)


def _checked_part(text: str, file: Path) -> Checked:
    """As a protocol that includes it would read it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "part.yaml").write_text(text, encoding="utf-8", newline="")
        checked = check_text(PROBE, "probe", folder=Path(folder))
    mine = tuple(replace(each, file=str(file)) for each in checked.diagnostics if each.file == "part.yaml")
    return replace(checked, diagnostics=mine)


def _replace(file: Path, old: str, new: str) -> None:
    """All or nothing; through a link to the file itself; its permissions stay."""
    target = file.resolve()
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    unfinished = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            out.write(new)
            out.flush()
            os.fsync(out.fileno())
        shutil.copymode(target, unfinished)
        if read_document(target).text != old:
            raise CannotLayOut("it was changed by somebody else just now")
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
