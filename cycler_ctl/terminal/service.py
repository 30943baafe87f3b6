"""Commands that run a station: the service, and a run in the foreground."""

from __future__ import annotations

import json
import logging
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from cycler_ctl.broker import Broker
from cycler_ctl.clock import SystemClock
from cycler_ctl.config import Config, find_config, load_config
from cycler_ctl.errors import ConfigError
from cycler_ctl.guardian import run_guardian
from cycler_ctl.running.start import overrides_of, read_order
from cycler_ctl.store.info import new_run_id
from cycler_ctl.store.reader import open_run
from cycler_ctl.terminal.safe_off import entries_of
from cycler_ctl.watching.logfile import log_file

FAILED, USAGE = 1, 2


def serve_station(config_path: Path | None) -> int:
    path = find_config(config_path).resolve()
    config = load_config(path)
    return guarded(config, ["--config", str(path)])


def guarded(config: Config, arguments: Sequence[str]) -> int:
    """The guardian with this station under it; one of them per data folder."""
    data_dir = config.station.data_dir
    # -P: a folder called drivers/ where the service is started must not be imported in place of ours
    command = [sys.executable, "-P", "-m", "cycler_ctl.daemon", f"--data-dir={data_dir}", *arguments]
    tell = [sys.executable, "-P", "-m", "cycler_ctl.notify.held_back", arguments[1]] if config.notify else []
    said = logging.getLogger("cycler_ctl.guardian")
    said.setLevel(logging.INFO)
    said.propagate = False  # the guardian writes on standard error itself
    with log_file(data_dir, "guardian", said):
        status = run_guardian(
            command, data_dir=data_dir, entries=entries_of(config), broker=broker_of(config), tell=tell
        )
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
