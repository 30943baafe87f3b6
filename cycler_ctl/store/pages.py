"""Records straight from the pages of a damaged SQLite file, without its tree: https://www.sqlite.org/fileformat2.html.

A page is believed whole or not at all: one cell that SQLite would not have written so, and none of its records count,
because next to it a number may be wrong without looking wrong. Nothing is ever written to the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from pathlib import Path

from cycler_ctl.store.codec import SQL

TABLE_LEAF, INDEX_LEAF, INDEX_INTERIOR = 0x0D, 0x0A, 0x02
PAGE_SIZES = frozenset(1 << power for power in range(9, 17))
USUAL_SIZE = 4096
FILE_HEAD, WAL_HEAD, FRAME_HEAD = 100, 32, 24
_WHOLE_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_FLOAT, _ZERO, _ONE, _FIRST_TEXT = 7, 8, 9, 13


class UnbelievableError(ValueError):
    """SQLite would not have written this."""


@dataclass(frozen=True, slots=True)
class Record:
    """``kind``: of its page. ``rowid``: None in an index."""

    kind: int
    rowid: int | None
    values: tuple[SQL, ...]


@dataclass(frozen=True, slots=True)
class _Pages:
    """The newest image of each page, from the write-ahead log where that has one, and its older ones from there."""

    size: int
    file: Path
    newest: Mapping[int, bytes]
    older: tuple[bytes, ...]

    def image(self, number: int) -> bytes:
        """Empty where there is none."""
        if number in self.newest or not self.file.is_file():
            return self.newest.get(number, b"")
        with self.file.open("rb") as file:
            file.seek((number - 1) * self.size)
            return file.read(self.size)

    def all(self) -> Iterator[bytes]:
        """Each newest image from page 2 on (the first is SQLite's own), then the older ones."""
        in_file = -(-self.file.stat().st_size // self.size) if self.file.is_file() else 0
        for number in range(2, max([in_file, *self.newest]) + 1):
            yield self.image(number)
        yield from self.older


def records(path: Path) -> Iterator[Record]:
    """All that can be believed in a database file and its write-ahead log; one record may come more than once."""
    pages = _pages(path)
    for image in pages.all():
        try:
            found = _records_of(image, pages)
        except (UnbelievableError, IndexError, struct.error):
            continue
        yield from found


def _pages(path: Path) -> _Pages:
    log = path.with_name(path.name + "-wal")
    frames = _committed(log.read_bytes()) if log.is_file() else []
    size = len(frames[0].image) if frames else _page_size(path)
    newest: dict[int, bytes] = {}
    older: list[bytes] = []
    for frame in frames:
        if frame.number in newest:
            older.append(newest[frame.number])
        newest[frame.number] = frame.image
    return _Pages(size, path, newest, tuple(older))


def _page_size(path: Path) -> int:
    if not path.is_file():
        return USUAL_SIZE
    with path.open("rb") as file:
        head = file.read(FILE_HEAD)
    found = int.from_bytes(head[16:18])
    size = 65536 if found == 1 else found
    return size if size in PAGE_SIZES and head.startswith(b"SQLite format 3\0") else USUAL_SIZE


@dataclass(frozen=True, slots=True)
class _Frame:
    number: int
    image: bytes
    commits: bool
    torn: bool
    """The frame before it is not as it was written."""


def log_is_torn(path: Path) -> bool:
    """A frame of the write-ahead log is damaged and later ones are not: SQLite stops reading there, without a word."""
    log = path.with_name(path.name + "-wal")
    return log.is_file() and any(frame.torn for frame in _committed(log.read_bytes()))


def _frames(log: bytes) -> Iterator[_Frame]:
    """Those whose sum is right; each sum goes on from the one of the frame before.

    So a damaged image hides only itself: the sum that the next frame goes on from stands in the damaged one's head.
    """
    if len(log) < WAL_HEAD or log[:4] not in {b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"}:
        return
    order = ">" if log[3] == 0x83 else "<"
    size, salts = int.from_bytes(log[8:12]), log[16:24]
    if size not in PAGE_SIZES:
        return
    before, torn = log[24:32], False
    for at in range(WAL_HEAD, len(log) - FRAME_HEAD - size + 1, FRAME_HEAD + size):
        head, image = log[at : at + FRAME_HEAD], log[at + FRAME_HEAD : at + FRAME_HEAD + size]
        whole = head[8:16] == salts and _sum(before, head[:8] + image, order) == head[16:24]
        if whole:
            yield _Frame(int.from_bytes(head[:4]), image, head[4:8] != bytes(4), torn)
        before, torn = head[16:24], not whole


def _committed(log: bytes) -> list[_Frame]:
    frames = list(_frames(log))
    return frames[: max((place for place, frame in enumerate(frames, start=1) if frame.commits), default=0)]


def _sum(before: bytes, data: bytes, order: str) -> bytes:
    one, two = struct.unpack(">II", before)
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return struct.pack(">II", one, two)


def _records_of(image: bytes, pages: _Pages) -> list[Record]:
    kind, _, cells, content, _ = struct.unpack_from(">BHHHB", image)
    if kind not in {TABLE_LEAF, INDEX_LEAF, INDEX_INTERIOR}:
        return []
    head = 12 if kind == INDEX_INTERIOR else 8
    places = struct.unpack_from(f">{cells}H", image, head)
    if any(place < max(content, head + 2 * cells) for place in places):
        raise UnbelievableError
    read = [_cell(image, place, kind, pages) for place in places]
    extents = sorted((place, end) for place, (_, end) in zip(places, read, strict=True))
    if any(end > following for (_, end), (following, _) in pairwise(extents)):
        raise UnbelievableError
    found = [record for record, _ in read]
    if any(other <= one for one, other in pairwise(record.rowid for record in found if record.rowid is not None)):
        raise UnbelievableError
    return found


def _cell(image: bytes, place: int, kind: int, pages: _Pages) -> tuple[Record, int]:
    """The record and where it ends."""
    at = place + (4 if kind == INDEX_INTERIOR else 0)
    size, at = _varint(image, at)
    rowid = None
    if kind == TABLE_LEAF:
        rowid, at = _varint(image, at)
    here = _local_bytes(size, pages.size, kind)
    payload, at = image[at : at + here], at + here
    if here < size:
        payload += _overflow(int.from_bytes(image[at : at + 4]), size - here, pages)
        at += 4
    if at > pages.size or len(payload) != size:
        raise UnbelievableError
    return Record(kind, rowid, _values(payload)), at


def _local_bytes(size: int, page: int, kind: int) -> int:
    most = page - 35 if kind == TABLE_LEAF else (page - 12) * 64 // 255 - 23
    if size <= most:
        return size
    least = (page - 12) * 32 // 255 - 23
    here = least + (size - least) % (page - 4)
    return here if here <= most else least


def _overflow(number: int, size: int, pages: _Pages) -> bytes:
    found = b""
    while len(found) < size:
        image = pages.image(number) if number else b""
        if len(image) < pages.size:
            raise UnbelievableError
        found += image[4 : 4 + size - len(found)]
        number = int.from_bytes(image[:4])
    return found


def _values(payload: bytes) -> tuple[SQL, ...]:
    head, at = _varint(payload, 0)
    kinds: list[int] = []
    while at < head:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    found: list[SQL] = []
    for kind in kinds:
        value, at = _value(payload, at, kind)
        found.append(value)
    if at != len(payload) or not found:
        raise UnbelievableError
    return tuple(found)


def _value(payload: bytes, at: int, kind: int) -> tuple[SQL, int]:
    if kind in {0, _ZERO, _ONE}:
        return None if kind == 0 else kind - _ZERO, at
    size = 8 if kind == _FLOAT else _WHOLE_BYTES.get(kind, (kind - _FIRST_TEXT) // 2)
    data = payload[at : at + size]
    if len(data) != size or (kind > _FLOAT and not (kind >= _FIRST_TEXT and kind % 2)):
        raise UnbelievableError
    if kind >= _FIRST_TEXT:
        return _text(data), at + size
    if not any(data):  # a zero is written without bytes
        raise UnbelievableError
    return (_float(data) if kind == _FLOAT else int.from_bytes(data, signed=True)), at + size


def _float(data: bytes) -> float:
    (value,) = struct.unpack(">d", data)
    if not isfinite(value):
        raise UnbelievableError
    return float(value)


def _text(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UnbelievableError from error
    if "\0" in text:
        raise UnbelievableError
    return text


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Big-endian, seven bits a byte; a negative one, of nine bytes, is none of a run's."""
    value = 0
    for place in range(at, at + 8):
        value = value << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return value, place + 1
    raise UnbelievableError
