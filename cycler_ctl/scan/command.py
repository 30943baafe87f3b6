"""``cycler-ctl scan``: what was found, for people with the lines to paste into station.toml, or as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from cycler_ctl.clock import SystemClock
from cycler_ctl.config import Config, find_config, load_config
from cycler_ctl.errors import ConfigError
from cycler_ctl.plugins import driver_names, load_driver
from cycler_ctl.scan.asking import Enquiry, Found, State
from cycler_ctl.scan.places import Place, Wanted, places
from cycler_ctl.scan.progress import Say, progress
from cycler_ctl.terminal.folding import columns, fitted

DONE, FAILED = 0, 1


def show_scan(wanted: Wanted, config_path: Path | None, timeout_s: float, *, as_json: bool) -> int:
    """1 where an address that was named did not tell who it is."""
    config = station_if_any(config_path)
    with progress() as say:
        listed = places(config, wanted, say)
        say(f"asking at {sum(place.ask for place in listed)} of {len(listed)} places")
        found = asyncio.run(_ask_all(listed, timeout_s, say))
    taken = frozenset(config.instruments) if config else frozenset[str]()
    told = fitted(render(found, taken).removesuffix("\n"), columns())
    sys.stdout.write((json.dumps([_json(one, taken) for one in found]) if as_json else told) + "\n")
    named = len(wanted.addresses) + len(wanted.ask)  # these stand first
    return DONE if all(one.state is State.IDENTIFIED for one in found[:named]) else FAILED


def station_if_any(config_path: Path | None) -> Config | None:
    """Without a station.toml a scan is how one begins; one that is named must be good."""
    try:
        path = find_config(config_path)
    except ConfigError:
        if config_path is not None:
            raise
        return None
    return load_config(path)


async def _ask_all(listed: Sequence[Place], timeout_s: float, say: Say) -> list[Found]:
    specs = {name: load_driver(name) for name in driver_names()}
    done: list[Found] = []

    def told(found: Found) -> None:
        done.append(found)
        say(f"{len(done)}/{len(listed)} {found.place.address}: {found.state.value}")

    return await Enquiry(specs, SystemClock(), timeout_s).all(listed, told)


def _json(found: Found, taken: frozenset[str]) -> dict[str, object]:
    return {**found.as_json(), "paste": "\n".join(paste(found, taken)) or None}


def render(found: Sequence[Found], taken: frozenset[str]) -> str:
    if not found:
        return "no port and no instrument found; a LAN instrument is asked by its address: cycler-ctl scan ADDRESS\n"
    return "".join(f"{line}\n" for one in found for line in _lines(one, taken))


def _lines(found: Found, taken: frozenset[str]) -> Iterator[str]:
    place, identity = found.place, found.identity
    yield f"{place.address}{f'  ({place.what})' if place.what else ''}"
    if identity is None:
        yield f"    {found.state.value}: {found.message.removeprefix('not asked: ')}"
        return
    serial = f", serial number {identity.serial}" if identity.serial else ""
    firmware = f", firmware {identity.firmware}" if identity.firmware else ""
    yield f"    {identity.maker} {identity.model}{serial}{firmware}; driver {' or '.join(found.fits)}"
    pasted = list(paste(found, taken))
    if pasted:
        yield "    for station.toml:"
    yield from (f"        {line}" for line in pasted)


def paste(found: Found, taken: frozenset[str]) -> Iterator[str]:
    """An instrument as station.toml takes it; nothing where it stands there already."""
    identity = found.identity
    if identity is None or found.place.name is not None:
        return
    stem = "smu" if load_driver(found.fits[0]).safe_off is not None else "sensor"
    yield f"[instruments.{next(name for name in _names(stem) if name not in taken)}]"
    yield f"driver = {json.dumps(found.fits[0])}"
    yield f"address = {json.dumps(found.place.address)}"
    if identity.serial:
        yield f"serial = {json.dumps(identity.serial)}"


def _names(stem: str) -> Iterator[str]:
    number = 1
    while True:
        yield f"{stem}{number}"
        number += 1
