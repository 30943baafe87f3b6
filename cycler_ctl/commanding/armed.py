"""An order that a person at this computer left ready: one file for each channel, which only this computer can write.

It holds the texts themselves and the channel's settings as a digest, so that what starts is what was looked at. Whoever
starts it over MQTT names its digest and can change nothing of it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from cycler_ctl.commanding.decide import Armed
from cycler_ctl.config import Config
from cycler_ctl.errors import ConfigError, StoreError
from cycler_ctl.running.start import Order
from cycler_ctl.watching.register import replace_file
from protocols.reading.documents import Document

FOLDER = "armed"
LONGEST_S = 24 * 3600.0


class ArmedFile(BaseModel):
    """``settings``: digest of the channel's and its instrument's settings, limits among them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    v: int = 1
    channel: str
    protocol_name: str
    protocol_text: str
    cell_name: str | None
    cell_text: str | None
    overrides: dict[str, str]
    included: dict[str, str]
    settings: str
    shown_protocol: str
    shown_cell: str | None
    by: str
    armed_utc_s: float
    until_utc_s: float
    after_run: str | None

    def digest(self) -> str:
        """Of what will be run, and where."""
        parts = self.model_dump(include=_DIGESTED)
        return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()

    def facts(self) -> Armed:
        return Armed(
            order=self.digest(),
            protocol=self.shown_protocol,
            cell=self.shown_cell,
            by=self.by,
            armed_utc_s=self.armed_utc_s,
            until_utc_s=min(self.until_utc_s, self.armed_utc_s + LONGEST_S),
            after_run=self.after_run,
        )

    def order(self, by: str) -> Order:
        cell = None if self.cell_text is None else Document(self.cell_name or "cell", self.cell_text)
        protocol = Document(self.protocol_name, self.protocol_text)
        return Order(protocol, cell, self.overrides, sent=self.included, by=f"{by}; armed by {self.by}")


_DIGESTED = {
    "channel",
    "protocol_name",
    "protocol_text",
    "cell_name",
    "cell_text",
    "overrides",
    "included",
    "settings",
}


@dataclass(frozen=True, slots=True)
class _Read:
    stamp: tuple[int, int]
    file: ArmedFile | None


class ArmedOrders:
    """As the station reads them: a file is parsed anew only where it has changed."""

    def __init__(self, data_dir: Path, config: Config) -> None:
        self._data_dir = data_dir
        self._config = config
        self._read: dict[str, _Read] = {}

    def of(self, channel: str) -> ArmedFile | None:
        """What is armed, or nothing: also where the settings are not those that were looked at, or nobody can read it."""
        path = path_of(self._data_dir, channel)
        try:
            found = path.stat()
        except OSError:
            return None
        stamp = (found.st_mtime_ns, found.st_size)
        known = self._read.get(channel)
        if known is None or known.stamp != stamp:
            known = self._read[channel] = _Read(stamp, self._fitting(channel, path))
        return known.file

    def _fitting(self, channel: str, path: Path) -> ArmedFile | None:
        try:
            file = ArmedFile.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None
        return file if file.channel == channel and file.settings == settings_digest(self._config, channel) else None


def path_of(data_dir: Path, channel: str) -> Path:
    return data_dir / FOLDER / f"{channel}.json"


def write_armed(data_dir: Path, file: ArmedFile) -> None:
    """StoreError: it is not on disk, and the channel is not armed."""
    path = path_of(data_dir, file.channel)
    replace_file(path, file.model_dump_json(indent=1) + "\n")
    os.chmod(path, 0o600)  # noqa: PTH101 - one spelling with the token's


def disarm(data_dir: Path, channel: str) -> bool:
    """Whether anything was armed. StoreError: it still is."""
    try:
        path_of(data_dir, channel).unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError(f"{path_of(data_dir, channel)} cannot be removed: {error}") from error
    return True


def disarm_all(data_dir: Path) -> None:
    """A station that begins knows nothing of what happened meanwhile: somebody must look again. ConfigError: it cannot."""
    try:
        for path in (data_dir / FOLDER).glob("*.json"):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"what was armed before cannot be taken back, so commands cannot be on: {error}") from error


def settings_digest(config: Config, channel: str) -> str:
    settings = config.channels[channel]
    both: Iterable[BaseModel] = (settings, config.instruments[settings.instrument])
    return hashlib.sha256("\n".join(each.model_dump_json() for each in both).encode()).hexdigest()


def in_words(data_dir: Path, channel: str) -> str | None:
    """For people: what is armed here and until when."""
    path = path_of(data_dir, channel)
    if not path.exists():
        return None
    try:
        facts = ArmedFile.model_validate_json(path.read_bytes()).facts()
    except (OSError, ValidationError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return said(facts)


def said(facts: Armed) -> str:
    from cycler_ctl.publish.payloads import iso

    cell = f" on {facts.cell}" if facts.cell else ""
    return f"{facts.protocol}{cell} until {iso(facts.until_utc_s)}, by {facts.by or 'a person'}"
