"""What the store asks of the disk, call by call: a layer between SQLite and its own VFS, in plain ctypes.

The layer is the process's default VFS while it is installed, so it sees the files of every connection, the store's own
as they are. It notes writes, syncs, truncations, creations and deletions, can refuse any of them, and together with
``os.replace``, ``os.fsync`` and the like gives the whole story of a run. Structures: sqlite3.h, sqlite3_vfs and
sqlite3_io_methods.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
import os
import sqlite3
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

OPEN_CREATE, OPEN_JOURNALS = 0x4, 0x800 | 0x4000 | 0x80000
OK, READONLY, FULL, CANTOPEN, IOERR_WRITE, IOERR_FSYNC = 0, 8, 13, 14, 778, 1034

ERRORS = {READONLY: errno.EROFS, FULL: errno.ENOSPC}

X_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, POINTER(c_int))
X_DELETE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
X_CLOSE = CFUNCTYPE(c_int, c_void_p)
X_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
X_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
X_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)


class Vfs(ctypes.Structure):
    _fields_ = (
        ("iVersion", c_int),
        ("szOsFile", c_int),
        ("mxPathname", c_int),
        ("pNext", c_void_p),
        ("zName", c_char_p),
        ("pAppData", c_void_p),
        ("xOpen", X_OPEN),
        ("xDelete", X_DELETE),
        ("others", c_void_p * 13),
    )


class Methods(ctypes.Structure):
    _fields_ = (
        ("iVersion", c_int),
        ("xClose", X_CLOSE),
        ("xRead", c_void_p),
        ("xWrite", X_WRITE),
        ("xTruncate", X_TRUNCATE),
        ("xSync", X_SYNC),
        ("others", c_void_p * 13),
    )


class File(ctypes.Structure):
    _fields_ = (("methods", POINTER(Methods)),)


@dataclass(frozen=True, slots=True)
class Call:
    """``what``: create, write, truncate, sync, unlink, rename, mkdir, sync folder, or ack with its number in ``at``."""

    what: str
    path: str
    at: int = 0
    data: bytes = b""
    to: str = ""


@dataclass(slots=True)
class Open:
    path: str
    methods: Methods
    new_journal: bool


Verdict = Callable[[Call], int]
"""The code a call ends with; OK lets it through."""


@dataclass(slots=True)
class Disk:
    """Notes calls on files under ``root``; ``verdict`` may be changed at any time."""

    root: Path
    calls: list[Call] = field(default_factory=list[Call])
    verdict: Verdict = lambda call: OK
    open: dict[int, Open] = field(default_factory=dict[int, Open])
    kept: list[Any] = field(default_factory=list[Any])

    def note(self, call: Call) -> int:
        code = self.judge(call)
        if code == OK:
            self.keep(call)
        return code

    def judge(self, call: Call) -> int:
        return self.verdict(call) if self._seen(call) else OK

    def keep(self, call: Call) -> None:
        if self._seen(call):
            self.calls.append(call)

    def _seen(self, call: Call) -> bool:
        return Path(call.path).is_relative_to(self.root) and not call.path.endswith("-shm")


def library() -> ctypes.CDLL:
    """The SQLite that Python's own module uses."""
    import _sqlite3

    for name in (_sqlite3.__file__, ctypes.util.find_library("sqlite3")):
        try:
            found = ctypes.CDLL(name)
            found.sqlite3_vfs_find.restype = POINTER(Vfs)
            version = found.sqlite3_libversion
        except (AttributeError, OSError, TypeError):
            continue
        version.restype = c_char_p
        if version().decode() == sqlite3.sqlite_version:
            return found
    return pytest.skip("Python's SQLite does not show its functions")


@contextmanager
def recorded(root: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Disk]:
    """While this is entered, everything SQLite and the store do under ``root`` is noted."""
    if sys.platform == "win32":
        pytest.skip("the order of a POSIX file system's calls")
    sqlite = library()
    disk = Disk(root)
    real = sqlite.sqlite3_vfs_find(None)
    layer = _layer(disk, real)
    sqlite.sqlite3_vfs_register(byref(layer), 1)
    with monkeypatch.context() as patch:
        _note_folders(disk, patch)
        try:
            yield disk
        finally:
            sqlite.sqlite3_vfs_unregister(byref(layer))
            sqlite.sqlite3_vfs_register(real, 1)
    if disk.open:
        pytest.fail(f"still open: {[found.path for found in disk.open.values()]}")


def _layer(disk: Disk, real: Any) -> Vfs:
    layer = Vfs()
    ctypes.memmove(byref(layer), real, ctypes.sizeof(Vfs))
    layer.zName = b"recorded"
    methods: dict[int, tuple[Methods, Methods]] = {}

    def opened(_: int, name: int | None, file: int, flags: int, out: Any) -> int:
        path = ctypes.string_at(name).decode() if name else ""  # the pointer itself goes on: SQLite keeps it
        new = bool(path) and bool(flags & OPEN_CREATE) and not Path(path).exists()
        if new and (code := disk.note(Call("create", path))) != OK:
            ctypes.memset(file, 0, ctypes.sizeof(c_void_p))
            return code
        code = int(real.contents.xOpen(ctypes.addressof(real.contents), name, file, flags, out))
        head = ctypes.cast(file, POINTER(File)).contents
        if code == OK and path:
            address = ctypes.addressof(head.methods.contents)
            if address not in methods:
                methods[address] = (head.methods.contents, _methods(disk, head.methods.contents))
            before, ours = methods[address]
            disk.open[file] = Open(path, before, new and bool(flags & OPEN_JOURNALS))
            head.methods = ctypes.pointer(ours)
        return code

    def deleted(_: int, name: int, sync_folder: int) -> int:
        path = ctypes.string_at(name).decode()
        if Path(path).exists() and (code := disk.note(Call("unlink", path))) != OK:
            return code
        if sync_folder:
            disk.note(Call("sync folder", str(Path(path).parent)))
        return int(real.contents.xDelete(ctypes.addressof(real.contents), name, sync_folder))

    layer.xOpen, layer.xDelete = X_OPEN(opened), X_DELETE(deleted)
    disk.kept += [layer, methods, layer.xOpen, layer.xDelete]
    return layer


def _methods(disk: Disk, real: Methods) -> Methods:
    ours = Methods()
    ctypes.memmove(byref(ours), byref(real), ctypes.sizeof(Methods))

    def close(file: int) -> int:
        ctypes.cast(file, POINTER(File)).contents.methods = ctypes.pointer(disk.open.pop(file).methods)
        return int(real.xClose(file))

    def write(file: int, data: int, size: int, at: int) -> int:
        code = disk.note(Call("write", disk.open[file].path, at, ctypes.string_at(data, size)))
        return code or int(real.xWrite(file, data, size, at))

    def truncate(file: int, size: int) -> int:
        return disk.note(Call("truncate", disk.open[file].path, size)) or int(real.xTruncate(file, size))

    def sync(file: int, flags: int) -> int:
        found = disk.open[file]
        code = disk.note(Call("sync", found.path)) or int(real.xSync(file, flags))
        if code == OK and found.new_journal:  # os_unix.c, unixSync: a new journal's folder is synced with it, once
            found.new_journal = False
            disk.note(Call("sync folder", str(Path(found.path).parent)))
        return code

    ours.xClose, ours.xWrite, ours.xTruncate, ours.xSync = (
        X_CLOSE(close),
        X_WRITE(write),
        X_TRUNCATE(truncate),
        X_SYNC(sync),
    )
    disk.kept += [ours.xClose, ours.xWrite, ours.xTruncate, ours.xSync]
    return ours


def _asked(disk: Disk, call: Call) -> Call:
    code = disk.judge(call)
    if code != OK:
        raise OSError(ERRORS.get(code, errno.EIO), "refused by the recorded disk", call.path)
    return call


def _note_folders(disk: Disk, patch: pytest.MonkeyPatch) -> None:
    """What the store does itself, without SQLite."""
    real_fsync, real_replace, real_unlink, real_mkdir = os.fsync, os.replace, os.unlink, os.mkdir

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        call = _asked(disk, Call("sync folder" if path.is_dir() else "sync", str(path)))
        real_fsync(descriptor)
        disk.keep(call)

    def replace(source: Any, to: Any) -> None:
        call = _asked(disk, Call("rename", str(source), to=str(to)))
        real_replace(source, to)
        disk.keep(call)

    def unlink(path: Any, **more: Any) -> None:
        call = Call("unlink", str(path))
        if Path(path).exists():  # of a name that is not there every file system says so first
            _asked(disk, call)
        real_unlink(path, **more)
        disk.keep(call)

    def mkdir(path: Any, *more: Any) -> None:
        call = _asked(disk, Call("mkdir", str(path)))
        real_mkdir(path, *more)
        disk.keep(call)

    for name, function in (("fsync", fsync), ("replace", replace), ("unlink", unlink), ("mkdir", mkdir)):
        patch.setattr(os, name, function)
