"""Where the brokers are and how to speak to them; everything wrong in ``[mqtt]`` is found here, before the start."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from cycler_ctl.config import MqttSettings
from cycler_ctl.errors import ConfigError

_PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``tls`` None: in clear."""

    url: str
    host: str
    port: int
    tls: ssl.SSLContext | None


class _Socket(ssl.SSLSocket):
    """The MQTT library forgets to close a connection whose handshake failed."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's signature
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


@dataclass(frozen=True, slots=True)
class Credentials:
    username: str | None
    password: str | None


def endpoints(settings: MqttSettings, default_url: str | None) -> tuple[Endpoint, ...]:
    """The brokers of the settings in their order, else the default one, else none."""
    urls = settings.url or ((default_url,) if default_url else ())
    tls = _tls(settings) if any(url.startswith("mqtts:") for url in urls) else None
    return tuple(_endpoint(url, tls) for url in urls)


def credentials(settings: MqttSettings) -> Credentials:
    if settings.password_file is None:
        return Credentials(settings.username, None)
    if settings.username is None:
        raise ConfigError("[mqtt] password_file without username: a broker takes both or none")
    try:
        text = settings.password_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"[mqtt] password_file {settings.password_file} cannot be read: {error}") from error
    return Credentials(settings.username, text.rstrip("\r\n"))


def _tls(settings: MqttSettings) -> ssl.SSLContext:
    """Server certificate and host name are always checked: against ``ca_file``, else against the system's authorities."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"[mqtt] ca_file {settings.ca_file} cannot be used: {error}") from error
    context.sslsocket_class = _Socket
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _endpoint(url: str, tls: ssl.SSLContext | None) -> Endpoint:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"[mqtt] url {url!r}: {error}") from error
    if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ConfigError(f"[mqtt] url {url!r}: expected mqtt://host:port or mqtts://host:port")
    if parts.username is not None or parts.password is not None:
        raise ConfigError("[mqtt] url holds a user name or password: use username and password_file")
    secure = parts.scheme == "mqtts"
    return Endpoint(url, parts.hostname, port or _PORTS[parts.scheme], tls if secure else None)
