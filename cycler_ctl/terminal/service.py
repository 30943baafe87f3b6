"""Commands that hold instruments themselves: the service, a run in the foreground, safe-off by hand."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import Sequence, Set
from pathlib import Path

from filelock import FileLock, Timeout

from cycler_ctl.broker import Broker
from cycler_ctl.clock import SystemClock
from cycler_ctl.config import Config, find_config, load_config, safe_off_entries
from cycler_ctl.errors import ConfigError
from cycler_ctl.guardian import LOCK_FILE, run_guardian
from cycler_ctl.plugins import load_driver
from cycler_ctl.running.relay import switch_off
from cycler_ctl.running.start import overrides_of, read_order
from cycler_ctl.store.info import new_run_id
from cycler_ctl.store.reader import open_run
from cycler_ctl.watching.register import SafeOffEntry
from cycler_ctl.watching.safeoff import safe_off_all

FAILED, USAGE, NOT_OFF = 1, 2, 4


def entries_of(config: Config) -> list[SafeOffEntry]:
    """Every instrument with an output, as safe-off reaches it."""
    entries = safe_off_entries(config)
    return [entries[name] for name, one in config.instruments.items() if load_driver(one.driver).safe_off is not None]


def serve_station(config_path: Path | None) -> int:
    path = find_config(config_path).resolve()
    config = load_config(path)
    return guarded(config, ["--config", str(path)])


def guarded(config: Config, arguments: Sequence[str]) -> int:
    """The guardian with this station under it; one of them per data folder."""
    data_dir = config.station.data_dir
    # -P: a folder called drivers/ where the service is started must not be imported in place of ours
    command = [sys.executable, "-P", "-m", "cycler_ctl.daemon", f"--data-dir={data_dir}", *arguments]
    status = run_guardian(command, data_dir=data_dir, entries=entries_of(config), broker=broker_of(config))
    return FAILED if status == USAGE else status  # the guardian's word for "do not start it again"


def broker_of(config: Config) -> Broker | None:
    if config.mqtt.url or not config.mqtt.enabled:
        return None
    try:
        from cycler_ctl.broker import find_server

        find_server()
    except ConfigError as error:
        sys.stderr.write(f"no MQTT: {error}\n")
        return None
    return Broker(config.station.data_dir)


def run_foreground(
    file: Path, channel: str, config_path: Path | None, cell: Path | None, overrides: Sequence[str], *, as_json: bool
) -> int:
    """0 when the run finished; the record says how it ended."""
    path = find_config(config_path).resolve()
    config = load_config(path)
    if channel not in config.channels:
        raise ConfigError(f"no channel {channel!r} in {path}: there are {', '.join(sorted(config.channels))}")
    read_order(file, cell, overrides_of(overrides))
    run = new_run_id(channel, SystemClock().utc(), secrets.token_hex(2))
    more = [f"--set={pair}" for pair in overrides] + ([f"--cell={cell.resolve()}"] if cell else [])
    status = guarded(
        config, ["--config", str(path), "--run", run, "--protocol", str(file.resolve()), "--channel", channel, *more]
    )
    folder = config.station.data_dir / "runs" / run
    return status or (report(folder, as_json=as_json) if folder.exists() else 1)


def report(folder: Path, *, as_json: bool) -> int:
    """One line on how a run ended."""
    with open_run(folder) as reader:
        state, rows = reader.state, reader.last_seq
    outcome = state.outcome.value if state.outcome else state.state
    if as_json:
        said = json.dumps({"run": folder.name, "outcome": outcome, "reason": state.reason, "rows": rows})
    else:
        said = f"{folder.name}: {outcome}, {rows} rows ({state.reason})"
    sys.stdout.write(said + "\n")
    return 0 if outcome == "finished" else 1


def safe_off_station(config_path: Path | None) -> int:
    config = load_config(find_config(config_path))
    results = asyncio.run(safe_off_all(entries_of(config), SystemClock()))
    for result in results:
        sys.stdout.write(result.message + "\n")
    left = {result.instrument for result in results if not result.confirmed}
    if not left:
        return 0
    if is_guarded(config.station.data_dir):
        sys.stderr.write(
            "the service is running and holds its instruments: 'cycler-ctl stop CHANNEL', or end it first\n"
        )
    else:
        asyncio.run(cut(config, left))
    return NOT_OFF


async def cut(config: Config, left: Set[str]) -> None:
    """The lab's own relay for what is not confirmed off. Confirmed it is not by that: the exit status stays."""
    entries = safe_off_entries(config)
    async with asyncio.TaskGroup() as group:
        for channel, settings in config.channels.items():
            entry = entries[settings.instrument]
            if entry.name in left and entry.relay:
                group.create_task(_cut(channel, entry), name=f"relay {channel}")


async def _cut(channel: str, entry: SafeOffEntry) -> None:
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
