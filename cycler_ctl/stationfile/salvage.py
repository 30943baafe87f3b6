"""What can still be read of a ``station.toml`` with errors: enough to turn its instruments off, and what is not known.

Nothing here is for running a cell. A table that does not matter for turning off may say what it likes; a file that is no
TOML is read table by table, and a table with a broken line is read without that line.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cycler_ctl.errors import ConfigError
from cycler_ctl.link.address import parse_address
from cycler_ctl.plugins import load_driver
from cycler_ctl.settings import StationSettings
from cycler_ctl.stationfile.readers import is_list, is_table, items, table_of
from cycler_ctl.watching.register import SafeOffEntry

TELLING = ("instrument", "driver", "address")
"""A line with one of these words that cannot be read may have named an instrument."""
_TABLE_BEGINS = re.compile(r"(?m)^(?=[ \t]*\[)")

Document = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Salvaged:
    """``channels``: the instrument of each; ``unknown``: why there may be an output that is not among the entries."""

    entries: tuple[SafeOffEntry, ...]
    channels: Mapping[str, str]
    data_dir: Path
    unknown: tuple[str, ...]


def salvage(text: str, folder: Path) -> Salvaged:
    """``folder``: of the file, to which its paths are relative."""
    unknown: list[str] = []
    documents = list(_documents(text, unknown))
    tables = [one for document in documents for one in _tables(document, "instruments", unknown)]
    found = [entry for name, table in tables if (entry := _entry(name, table, documents, unknown)) is not None]
    channels = {
        name: str(table.get("instrument", ""))
        for document in documents
        for name, table in _tables(document, "channels", unknown)
    }
    _missing(channels, {name for name, _ in tables}, unknown)
    if not tables:
        unknown.append("it names no instrument")
    data_dir = folder / Path(_text(documents, "station", "data_dir", "data")).expanduser()
    return Salvaged(tuple(found), channels, data_dir, tuple(unknown))


def _documents(text: str, unknown: list[str]) -> Iterator[Document]:
    whole = _parsed(text)
    if whole is not None:
        yield whole
        return
    for part in _TABLE_BEGINS.split(text):
        document = _parsed(part)
        yield _without_broken_lines(part, unknown) if document is None else document


def _parsed(text: str) -> Document | None:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None


def _without_broken_lines(part: str, unknown: list[str]) -> Document:
    lines = part.splitlines()
    kept = [line for line in lines if _parsed(line) is not None]
    left_out = [line.strip() for line in lines if line not in kept]
    unknown += [f"this cannot be read: {line}" for line in left_out if any(word in line for word in TELLING)]
    document = _parsed("\n".join(kept))
    if document is None:
        unknown.append(f"the table {lines[0].strip()} cannot be read")
        return {}
    return document


def _tables(document: Document, key: str, unknown: list[str]) -> Iterator[tuple[str, Document]]:
    for name, table in table_of(document, key).items():
        if is_table(table):
            yield name, dict(items(table))
        else:
            unknown.append(f"{key}.{name} is not a table")


def _entry(name: str, table: Document, documents: list[Document], unknown: list[str]) -> SafeOffEntry | None:
    """None: a sensor, or what cannot be reached; that is noted."""
    driver, address = table.get("driver"), table.get("address")
    if not isinstance(driver, str) or not isinstance(address, str):
        unknown.append(f"instruments.{name} has no driver or no address")
        return None
    try:
        if load_driver(driver).safe_off is None:
            return None
        parse_address(address)
    except ConfigError as error:
        unknown.append(f"instruments.{name}: {error}")
        return None
    return SafeOffEntry(
        name,
        driver,
        address,
        "visa" if table.get("backend") == "visa" else None,
        _text(documents, "station", "visa_backend", str(StationSettings.model_fields["visa_backend"].default)),
        _relay(documents),
        serial if isinstance(serial := table.get("serial"), str) and serial else None,
    )


def _text(documents: list[Document], table: str, key: str, otherwise: str) -> str:
    found = [table_of(document, table).get(key) for document in documents]
    return next((value for value in found if isinstance(value, str) and value), otherwise)


def _relay(documents: list[Document]) -> tuple[str, ...]:
    for document in documents:
        command = table_of(document, "escalation").get("command")
        if isinstance(command, str) and command:
            return (command,)
        if is_list(command) and command:
            return tuple(map(str, command))
    return ()


def _missing(channels: Mapping[str, str], known: set[str], unknown: list[str]) -> None:
    unknown += [
        f"channel {channel} is on instrument {instrument!r}, of which nothing is known"
        for channel, instrument in channels.items()
        if instrument not in known
    ]
