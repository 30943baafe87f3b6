"""Secrets come from a file only its owner can read, or from the environment; no message, log or repr ever holds one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cycler_ctl.errors import ConfigError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LONGEST = 4096


def secret_from_file(path: Path, key: str) -> str:
    """The file without its line end; ``key`` is its name in ``station.toml``."""
    check_private(path, key)
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
        secret = content.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigError(f"{key} {path}: not UTF-8 text") from None  # the cause would quote it
    except OSError as error:
        raise ConfigError(f"{key} {path} cannot be read: {error.strerror}") from error
    if not secret or len(content) > _LONGEST:
        raise ConfigError(f"{key} {path} is empty, or longer than {_LONGEST} bytes")
    return secret


def secret_from_environment(name: str, key: str) -> str:
    secret = os.environ.get(name, "")
    if not secret:
        raise ConfigError(f"{key}: the environment has no {name}")
    return secret


def check_private(path: Path, key: str) -> None:
    """On POSIX nobody but the owner may read it; Windows' rights do not stand in the mode: see the guide."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(f"{key} {path} cannot be read: {error.strerror}") from error
    if os.name == "posix" and mode & _OTHERS:
        raise ConfigError(f"{key} {path} can be read by others (mode {stat.S_IMODE(mode):04o}): chmod 600 {path}")
