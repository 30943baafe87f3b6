"""Whether a folder can keep a promise: local, roomy, and with directory entries that survive a power cut."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from cycler_ctl.errors import StoreError

MINIMUM_FREE_BYTES = 1_000_000_000
SYNCING_CLIENTS = (
    "OneDrive", "Dropbox", "Google Drive", "GoogleDrive", "iCloudDrive", "Mobile Documents", "Nextcloud", "ownCloud",
    "pCloud", "Syncthing", "Box Sync",
)  # fmt: skip
"""How their folders begin by default: OneDrive's is called "OneDrive - <company>", Dropbox's "Dropbox (<team>)"."""
RESERVE_NAME = "reserve"
_BLOCK = bytes(1 << 18)

NETWORK_TYPES = frozenset(
    {"nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs", "afs", "9p", "ceph", "glusterfs", "lustre", "gpfs"}
)
"""File systems on which locks, memory maps or fsync may not be what SQLite takes them for."""


def check_place(folder: Path, minimum_free_bytes: int = MINIMUM_FREE_BYTES) -> None:
    """Refuse to begin a record in a folder that may not hold it; the folder must exist."""
    kind = network_file_system(folder)
    if kind is not None:
        raise StoreError(
            f"{folder} is on a network file system ({kind}), where a record is not safe: "
            "set data_dir to a folder on a local disk and copy exports from there"
        )
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < minimum_free_bytes:
        raise StoreError(
            f"{folder} has {free_bytes / 1e9:.2f} GB free and a run needs {minimum_free_bytes / 1e9:.2f} GB: "
            "free some space or set data_dir to another disk"
        )


def network_file_system(folder: Path) -> str | None:
    """The type of the network file system ``folder`` is on, None where it is local or nobody can tell."""
    if sys.platform == "win32":
        return _windows_share(folder.resolve())
    mounts = Path("/proc/self/mountinfo")
    if not mounts.is_file():
        return None
    return network_mount(folder.resolve(), mounts.read_text(encoding="utf-8", errors="surrogateescape"))


def network_mount(folder: Path, mountinfo: str) -> str | None:
    """As ``network_file_system``, decided on the text of /proc/self/mountinfo (proc(5))."""
    best, kind = "", ""
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if len(fields) < 9 or "-" not in fields:
            continue
        point = fields[4].encode("latin-1", "ignore").decode("unicode_escape")
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, fields[fields.index("-") + 1]
    return kind if kind in NETWORK_TYPES or kind.startswith("fuse.") else None


def _windows_share(folder: Path) -> str | None:
    if folder.drive.startswith("\\\\"):
        return "share"
    if sys.platform == "win32":
        import ctypes

        drive_remote = 4  # GetDriveTypeW, fileapi.h
        if ctypes.windll.kernel32.GetDriveTypeW(folder.drive + "\\") == drive_remote:
            return "mapped drive"
    return None


def syncing_client(folder: Path) -> str | None:
    """The program whose name a folder on the way bears, if that copies files away and back while they are written.

    A live run file there is safe only while nothing is restored into it: a reason to warn, not to refuse.
    """
    for part in folder.resolve().parts:
        known = next((name for name in SYNCING_CLIENTS if part.casefold().startswith(name.casefold())), None)
        if known is not None:
            return known
    return None


def syncing(client: str) -> str:
    """What to do about it, as a sentence for people."""
    return (
        f"this folder looks like one that {client} copies: a run file that it puts back while a run goes on is lost; "
        "set data_dir to a folder of this computer alone and copy exports"
    )


def sync_file(path: Path) -> None:
    """What is in the file survives a power cut."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """The folder's entries survive a power cut; NTFS journals them itself and cannot be asked."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_reserve(run_dir: Path, byte_size: int) -> None:
    """Take space that can be given back when the disk is full; written, because a sparse file holds none."""
    try:
        with (run_dir / RESERVE_NAME).open("wb") as file:
            for _ in range(0, byte_size, len(_BLOCK)):
                file.write(_BLOCK)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        release_reserve(run_dir)
        raise


def release_reserve(run_dir: Path) -> bool:
    """True if there was a reserve and its space is free now."""
    try:
        (run_dir / RESERVE_NAME).unlink()
    except OSError:
        return False
    return True


def set_aside(path: Path, why: str) -> None:
    """Whoever opens the run in this boot must not write to that file again; said as well as a failing disk lets us."""
    with suppress(OSError):
        aside_note(path).write_text(f"{why}\n", encoding="utf-8")


def is_set_aside(path: Path) -> bool:
    return aside_note(path).exists()


def aside_note(path: Path) -> Path:
    """What says that a file was set aside, and why."""
    return path.with_name(f"{path.name}.failed")


def locked(run_dir: Path) -> BaseFileLock:
    """The operating system's lock, so that a run has one writer and a dead one leaves nothing to clean up."""
    lock = FileLock(run_dir / "writer.lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise StoreError(f"another process is writing {run_dir}: stop that one first") from error
    except OSError as error:
        raise StoreError(f"cannot lock {run_dir}: {error.strerror}; check the rights of data_dir") from error
    return lock
