"""The bearer token that acting over HTTP takes: 256 random bits in a file only its owner may read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cycler_ctl.errors import ConfigError

SHORTEST = 32
TOKEN_FILE = "http-token"  # noqa: S105 - a file's name


def load_or_make_token(path: Path) -> str:
    """The token in the file; made at the first start."""
    try:
        return _write_new(path)
    except FileExistsError:
        return read_token(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot keep the HTTP token here: {error.strerror}") from error


def read_token(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot read the HTTP token: {error}") from error
    if len(token) < SHORTEST or not token.isprintable() or " " in token:
        raise ConfigError(f"{path}: the HTTP token needs at least {SHORTEST} characters without spaces")
    return token


def _write_new(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    token = secrets.token_urlsafe(32)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token + "\n")
    return token
