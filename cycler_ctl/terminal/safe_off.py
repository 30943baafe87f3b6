"""``safe-off``: every output off and read back, without the service, whatever else is wrong.

It needs to know instruments, and nothing more. A station.toml with errors is read as far as it goes, the register tells
what was on, also where the file now says otherwise; what cannot be known is said, and is never called off.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from cycler_ctl.clock import SystemClock
from cycler_ctl.config import Config, find_config, load_config, safe_off_entries
from cycler_ctl.errors import ConfigError, StoreError
from cycler_ctl.guardian import LOCK_FILE
from cycler_ctl.plugins import load_driver
from cycler_ctl.running.relay import switch_off
from cycler_ctl.stationfile.salvage import salvage
from cycler_ctl.terminal.folding import columns, folded
from cycler_ctl.watching.register import SafeOffEntry, read_entries, read_register
from cycler_ctl.watching.safeoff import SafeOffResult, safe_off_all

DONE, NOT_OFF = 0, 4


@dataclass(frozen=True, slots=True)
class Known:
    """What is to be turned off. ``channels``: the instrument of each; ``unknown``: what there may be besides."""

    entries: tuple[SafeOffEntry, ...]
    channels: Mapping[str, str]
    data_dir: Path
    unknown: tuple[str, ...] = ()


def safe_off_station(config_path: Path | None, *, as_json: bool = False) -> int:
    """0: every output is off, read back, and none is unknown."""
    known = known_at(find_config(config_path))
    results = asyncio.run(_all_off(known.entries))
    if as_json:
        sys.stdout.write(json.dumps({"outputs": [asdict(one) for one in results], "unknown": known.unknown}) + "\n")
    else:
        sys.stdout.writelines(f"{folded(result.message, columns())}\n" for result in results)
    for reason in known.unknown:
        sys.stderr.write(f"NOT KNOWN whether every output is off: {reason}\n")
    left = {(result.instrument, result.address) for result in results if not result.confirmed}
    if left and is_guarded(known.data_dir):
        sys.stderr.write(
            "the service is running and holds its instruments: 'cycler-ctl stop CHANNEL', or end it first\n"
        )
    elif left:
        asyncio.run(_cut(known, [entry for entry in known.entries if (entry.name, entry.address) in left]))
    return NOT_OFF if left or known.unknown else DONE


def known_at(path: Path) -> Known:
    """The file as far as it can be read, and the register beside it."""
    try:
        config = load_config(path)
    except ConfigError as error:
        sys.stderr.write(f"{error}\nsafe-off goes on with what can be read\n")
        return _with_register(_salvaged(path), mended=False)
    channels = {name: settings.instrument for name, settings in config.channels.items()}
    return _with_register(Known(tuple(entries_of(config)), channels, config.station.data_dir), mended=True)


def entries_of(config: Config) -> list[SafeOffEntry]:
    """Every instrument with an output, as safe-off reaches it."""
    entries = safe_off_entries(config)
    return [entries[name] for name, one in config.instruments.items() if load_driver(one.driver).safe_off is not None]


def _salvaged(path: Path) -> Known:
    try:
        text = path.read_bytes().decode("utf-8-sig", "replace").replace("\r\n", "\n")
    except OSError as error:
        return Known((), {}, path.absolute().parent / "data", (f"{path} cannot be read: {error.strerror}",))
    found = salvage(text, path.absolute().parent)
    return Known(found.entries, found.channels, found.data_dir, found.unknown)


def _with_register(known: Known, *, mended: bool) -> Known:
    """What was on may have been moved since, or stand in a table that cannot be read: then as it was last served."""
    register: Mapping[str, SafeOffEntry] = {}
    unknown, served_too = list(known.unknown), not mended
    try:
        register = read_register(known.data_dir)
    except StoreError as error:
        sys.stderr.write(f"{error}: also turning off every instrument as it was last served\n")
        served_too = True
    served: tuple[SafeOffEntry, ...] = ()
    try:
        served = read_entries(known.data_dir) if served_too else ()
    except StoreError as error:
        unknown.append(str(error))
    names = {entry.name for entry in known.entries}
    more = (*register.values(), *(entry for entry in served if entry.name not in names or mended))
    channels = {channel: entry.name for channel, entry in register.items()} | dict(known.channels)
    return replace(known, entries=_once([*known.entries, *more]), channels=channels, unknown=tuple(unknown))


def _once(entries: Sequence[SafeOffEntry]) -> tuple[SafeOffEntry, ...]:
    """One for each instrument at an address; the later one knows more: which serial number was on."""
    return tuple({(entry.driver, entry.address): entry for entry in entries}.values())


async def _all_off(entries: Sequence[SafeOffEntry]) -> list[SafeOffResult]:
    """All at the same time, but never two at one address: they would read each other's answers."""
    return [result for group in _rounds(entries) for result in await safe_off_all(group, SystemClock())]


def _rounds(entries: Sequence[SafeOffEntry]) -> Iterator[list[SafeOffEntry]]:
    left: list[SafeOffEntry] = list(entries)
    while left:
        first = {entry.address: entry for entry in reversed(left)}
        group = [entry for entry in left if first[entry.address] is entry]
        yield group
        left = [entry for entry in left if entry not in group]


async def _cut(known: Known, left: Sequence[SafeOffEntry]) -> None:
    """The lab's own relay for what is not confirmed off. Confirmed it is not by that: the exit status stays."""
    async with asyncio.TaskGroup() as group:
        for entry in left:
            named = [channel for channel, instrument in known.channels.items() if instrument == entry.name]
            for channel in named if entry.relay else ():
                group.create_task(_cut_one(channel, entry), name=f"relay {channel}")


async def _cut_one(channel: str, entry: SafeOffEntry) -> None:
    _, said = await switch_off(channel, entry)
    sys.stderr.write(f"{channel}: {said}; look whether the output is off\n")


def is_guarded(data_dir: Path) -> bool:
    """Is a service running on this data folder?"""
    lock = FileLock(data_dir / LOCK_FILE, timeout=0)
    try:
        with lock:
            return False
    except (Timeout, OSError):
        return data_dir.exists()
