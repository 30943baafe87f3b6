"""``station.toml``: found, read, checked. The settings themselves are in ``cycler_ctl.settings``."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from cycler_ctl.errors import ConfigError
from cycler_ctl.settings import (
    Acceptance,
    ChannelSettings,
    Config,
    HttpSettings,
    InstrumentSettings,
    Limits,
    MqttSettings,
    Settings,
    ShareSettings,
    StationSettings,
)
from cycler_ctl.stationfile.check import check_config_text
from cycler_ctl.watching.register import SafeOffEntry
from protocols.diagnostics import render_all

__all__ = [
    "Acceptance",
    "ChannelSettings",
    "Config",
    "HttpSettings",
    "InstrumentSettings",
    "Limits",
    "MqttSettings",
    "Settings",
    "ShareSettings",
    "StationSettings",
    "check_config_text",
    "find_config",
    "load_config",
    "safe_off_entries",
]

VARIABLE = "CYCLER_CTL_CONFIG"
FILE = "station.toml"


def find_config(explicit: Path | None) -> Path:
    """``explicit``, else $CYCLER_CTL_CONFIG, ./station.toml, the platform's configuration folder."""
    if explicit is not None:
        return _existing(explicit, "--config")
    if named := os.environ.get(VARIABLE):
        return _existing(Path(named), f"${VARIABLE}")
    places = (
        Path(FILE),
        platformdirs.user_config_path("cycler-ctl") / FILE,
        platformdirs.site_config_path("cycler-ctl") / FILE,
    )
    for path in places:
        if path.is_file():
            return path
    looked = ", ".join(map(str, places))
    raise ConfigError(f"no station.toml found (looked at {looked}): name one with --config FILE or ${VARIABLE}")


def _existing(path: Path, said_by: str) -> Path:
    if not path.is_file():
        raise ConfigError(f"{said_by}: there is no file {path}")
    return path


def load_config(path: Path) -> Config:
    """The checked settings; ConfigError holds every error of the file, ready to print."""
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    config, diagnostics = check_config_text(content, str(path))
    if config is None:
        raise ConfigError(render_all(diagnostics))
    return config


def safe_off_entries(config: Config) -> dict[str, SafeOffEntry]:
    """What turning off needs to know of each instrument, by its name."""
    backend = config.station.visa_backend
    return {
        name: SafeOffEntry(
            name,
            settings.driver,
            settings.address,
            settings.backend,
            backend,
            config.escalation.command,
            settings.serial,
        )
        for name, settings in config.instruments.items()
    }
