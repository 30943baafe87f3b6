"""What ``collect`` is told: addresses on the command line, secrets only by files and by PostgreSQL's own environment."""

from __future__ import annotations

import ssl
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, parse_qs, urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import make_conninfo
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cycler_ctl.errors import ConfigError
from cycler_ctl.settings import HttpSettings

NATS, MQTT = frozenset({"nats", "tls"}), frozenset({"mqtt", "mqtts"})
Level = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BrokerSettings(_Section):
    """``replicas``: copies of each message in a NATS cluster; 1 with a single server.

    ``mqtt_version``: brokers of 3.1.1 share no work among collectors, so there may be one only.
    """

    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    mqtt_version: Literal["5", "3.1.1"] = "5"
    replicas: int = Field(default=3, ge=1, le=5)


class DatabaseSettings(_Section):
    password_file: Path | None = None


class CollectSettings(_Section):
    """``name`` is shared by all collectors that share the work; ``instance`` tells them apart.

    ``http``: also serve the fleet's page; its keys are those of station.toml.
    ``patience_s``: rows of several collectors overtake each other; a gap this old is asked for.
    ``redeliver_s``: what a dead collector had taken goes to another after so long (NATS).
    """

    name: Level = "historian"
    instance: Level = "a"
    check_every_s: float = Field(default=5.0, ge=0.1, le=3600)
    patience_s: float = Field(default=30.0, ge=0.1, le=3600)
    redeliver_s: float = Field(default=60.0, ge=1, le=3600)
    batch: int = Field(default=1000, ge=1, le=10_000)
    broker: BrokerSettings = BrokerSettings()
    database: DatabaseSettings = DatabaseSettings()
    http: HttpSettings | None = None


@dataclass(frozen=True, slots=True)
class Login:
    username: str | None
    password: str | None
    tls: ssl.SSLContext | None

    def __repr__(self) -> str:
        return f"Login({self.username!r}, ***)"


def load(file: Path | None) -> CollectSettings:
    if file is None:
        return CollectSettings()
    try:
        return CollectSettings.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    except ValidationError as error:
        found = error.errors()[0]
        raise ConfigError(f"{file}: {'.'.join(map(str, found['loc']))}: {found['msg']}") from error


def conninfo(url: str, settings: DatabaseSettings, which: str = "read-write") -> str:
    """For the client library. Of several hosts the one that takes writes is used, also after a fail-over."""
    parts = _split(url, "--to")
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ConfigError("--to: expected postgresql://user@host:port/database")
    if parts.password is not None or "password" in parse_qs(parts.query):
        raise ConfigError(
            "--to holds a password, which others can see: use PGPASSFILE, PGPASSWORD or [database] password_file"
        )
    more: dict[str, str] = {} if settings.password_file is None else {"password": _secret(settings.password_file)}
    usual = {
        "target_session_attrs": which,
        "connect_timeout": "10",
        "tcp_user_timeout": "30000",
        "application_name": "cycler-ctl collect",
    }
    more |= {key: value for key, value in usual.items() if key not in parse_qs(parts.query)}
    try:
        return make_conninfo(url, **more)
    except ProgrammingError as error:
        raise ConfigError(f"--to: {str(error).strip()}") from error


def brokers(text: str) -> tuple[str, ...]:
    """The addresses of ``--from``; all NATS or all MQTT, and none with a password in it."""
    urls = tuple(url.strip() for url in text.split(",") if url.strip())
    schemes = {_split(url, "--from").scheme for url in urls}
    if not urls or not (schemes <= NATS or schemes <= MQTT):
        raise ConfigError("--from: expected nats://host:port,… or mqtt(s)://host:port,…")
    for url in urls:
        parts = _split(url, "--from")
        if not parts.hostname or parts.username is not None or parts.path.strip("/") or parts.query:
            raise ConfigError("--from: expected scheme://host:port; user and password go to [broker] of --config")
    return urls


def login(settings: BrokerSettings, urls: Sequence[str]) -> Login:
    """In clear only to this computer."""
    secure = [urlsplit(url).scheme in {"tls", "mqtts"} for url in urls]
    if settings.ca_file is None and not all(
        each or urlsplit(url).hostname in {"127.0.0.1", "::1", "localhost"}
        for each, url in zip(secure, urls, strict=True)
    ):
        raise ConfigError("--from: to another computer only with TLS: tls:// or mqtts://, or [broker] ca_file")
    password = None if settings.password_file is None else _secret(settings.password_file)
    return Login(settings.username, password, _tls(settings) if any(secure) or settings.ca_file else None)


def _tls(settings: BrokerSettings) -> ssl.SSLContext:
    """Certificate and host name of the server are always checked."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.certificate_file is not None:
            context.load_cert_chain(settings.certificate_file, settings.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"[broker] the certificates cannot be used: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _split(url: str, option: str) -> SplitResult:
    """The port is left alone: PostgreSQL's addresses may name several hosts."""
    try:
        return urlsplit(url)
    except ValueError as error:
        raise ConfigError(f"{option}: not an address: {error}") from None


def _secret(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"password_file {file} cannot be read: {error}") from error
