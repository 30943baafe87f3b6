"""Where the service meets the machine, put on the simulated one. For a process that does nothing else afterwards."""

from __future__ import annotations

import shutil
from functools import cache, partial
from math import inf
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

from filelock import FileLock

import drivers.scpi
from cycler_ctl import clock, guardian, plugins
from cycler_ctl.channels import owning
from cycler_ctl.errors import StoreError
from cycler_ctl.guarding import watched
from cycler_ctl.instrument import Reading
from cycler_ctl.publish import courier
from cycler_ctl.running import going_on, start
from cycler_ctl.store import place, segment, writer
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.watching import lease
from cycler_ctl.watching.register import write_register
from protocols.events import Sampled
from simulated.broker import Broker, Speaker
from simulated.disk import Disk, Sqlite
from simulated.records import Records
from simulated.service import Service
from simulated.threads import Condition, Lock, Thread

RESERVE_BYTES = 1 << 16
REAL_TICK_S = guardian.TICK_S
TICK_S = 1.0  # the guardian's; ten times as often costs more than everything else


class Secrets:
    """``secrets`` that everybody may know."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def token_hex(self, nbytes: int) -> str:
        return f"{self._random.getrandbits(8 * nbytes):0{2 * nbytes}x}"

    def randbits(self, k: int) -> int:
        return self._random.getrandbits(k)

    def randbelow(self, exclusive_upper_bound: int) -> int:
        return self._random.randrange(exclusive_upper_bound)


class Locks:
    """File locks end with the process that holds them."""

    def __init__(self) -> None:
        self._held: list[Any] = []

    def make(self, real: Any, *arguments: Any, **more: Any) -> Any:
        lock = real(*arguments, **more)
        self._held.append(lock)
        return lock

    def last_is_anothers(self) -> None:
        """Another program's, which does not end with the station."""
        self._held.pop()

    def release_all(self) -> None:
        for lock in self._held:
            lock.release(force=True)
        self._held.clear()


def put(module: Any, **names: Any) -> None:
    for name, value in names.items():
        assert hasattr(module, name), f"{module.__name__} has no {name} any more"
        setattr(module, name, value)


def on_time(elapsed_s: Any, utc_s: Any) -> None:
    put(clock, _elapsed_s=elapsed_s, time=SimpleNamespace(time=utc_s, monotonic=elapsed_s))


def never_suspended() -> None:
    """Sleep in one piece: to look each second whether the computer slept is a fifth of all that is done."""
    put(clock, AWAKE_S=inf)


def on_disk(disk: Disk, locks: Locks) -> None:
    put(segment, sqlite3=Sqlite(disk), sync_file=lambda _path: disk.sync(), sync_folder=disk.named)
    put(
        writer,
        threading=SimpleNamespace(Thread=Thread, Lock=Lock, Condition=Condition),
        sync_folder=disk.named,
        WriterOptions=partial(WriterOptions, reserve_bytes=RESERVE_BYTES, minimum_free_bytes=0),
    )
    put(place, FileLock=partial(locks.make, FileLock))
    put(owning, FileLock=partial(locks.make, FileLock))
    put(lease, write_register=partial(_write_register, disk, write_register))


def _write_register(disk: Disk, write: Any, data_dir: Path, energised: Any) -> None:
    try:
        disk.sync()
    except OSError as error:
        raise StoreError(f"the register cannot be written: {error}") from error
    write(data_dir, energised)


def on_rows(records: Records) -> None:
    append = writer.RunWriter.append

    def judged(self: writer.RunWriter, rows: Any = (), *more: Any, **named: Any) -> None:
        append(self, rows, *more, **named)
        records.appended(self, rows)

    check = watched.Watched.judged

    def believed(self: watched.Watched, reading: Reading, at_s: float) -> Any:
        event = check(self, reading, at_s)
        if isinstance(event, Sampled):
            records.believed(self._fit.name, event, self._fit.clock.now() - reading.at_s)
        return event

    put(writer.RunWriter, append=judged)
    put(watched.Watched, judged=believed)


def on_chance(random: Random) -> None:
    known = Secrets(random)
    put(start, secrets=known, versions=cache(start.versions))
    put(going_on, secrets=known)
    put(drivers.scpi, secrets=known)
    put(courier, random=SimpleNamespace(random=random.random))
    put(plugins, _entry_point=cache(plugins._entry_point))


def on_service(service: Service, broker: Broker, say: Any) -> None:
    put(guardian, start_child=service.start_child, kill_child=service.kill_child, say=say, TICK_S=TICK_S)
    put(courier, Speaker=partial(Speaker, broker))


def guardian_ticks(tick_s: float) -> None:
    put(guardian, TICK_S=tick_s)


def empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
