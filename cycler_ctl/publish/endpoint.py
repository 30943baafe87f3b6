"""Where the brokers are and how to speak to them; everything wrong in ``[mqtt]`` is found here, before the start."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cycler_ctl.config import MqttSettings
from cycler_ctl.errors import ConfigError
from cycler_ctl.publish.certificates import Validity, of_file
from cycler_ctl.secret import check_private, secret_from_environment, secret_from_file

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_LOCAL = "127.0.0.1"


class Tls(ssl.SSLContext):
    """What the library keeps to itself: until when the broker's certificate is valid, and why it did not want ours."""

    broker_until_utc_s: float | None = None
    complaint: ssl.SSLError | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``tls`` None: in clear, and then only to this computer (``Names``). ``own``: the certificates of files."""

    url: str
    host: str
    port: int
    tls: Tls | None
    own: tuple[Validity, ...] = ()

    def certificates(self) -> tuple[Validity, ...]:
        """All that are known by now."""
        until_s = self.tls.broker_until_utc_s if self.tls else None
        broker = () if until_s is None else (Validity(f"the certificate of {self.url}", until_s),)
        return (*self.own, *broker)


class _Socket(ssl.SSLSocket):
    """The MQTT library forgets to close a connection whose handshake failed, and why a reading from it failed."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's signature
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise
        certificate = self.getpeercert() or {}
        until = certificate.get("notAfter")
        if isinstance(self.context, Tls) and isinstance(until, str):
            self.context.broker_until_utc_s = ssl.cert_time_to_seconds(until)
            self.context.complaint = None

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """TLS 1.3: a broker that does not want our certificate says so only after the handshake."""
        try:
            return super().recv(buflen, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            if isinstance(self.context, Tls):
                self.context.complaint = error
            raise


@dataclass(frozen=True, slots=True)
class Credentials:
    username: str | None
    password: str | None = field(repr=False)


def endpoints(settings: MqttSettings, default_url: str | None) -> tuple[Endpoint, ...]:
    """The brokers of the settings in their order, else the default one, else none."""
    urls = settings.url or ((default_url,) if default_url else ())
    return tuple(_endpoint(url, settings) for url in urls)


def credentials(settings: MqttSettings) -> Credentials:
    found = Credentials(settings.username, _password(settings))
    if found.password is not None and found.username is None:
        raise ConfigError("[mqtt] a password without username: a broker takes both or none")
    return found


def _password(settings: MqttSettings) -> str | None:
    if settings.password_env is not None:
        return secret_from_environment(settings.password_env, "[mqtt] password_env")
    if settings.password_file is not None:
        return secret_from_file(settings.password_file, "[mqtt] password_file")
    return None


def _tls(settings: MqttSettings) -> Tls:
    """Server certificate and host name are always checked: against ``ca_file``, else against the system's authorities."""
    context = Tls(ssl.PROTOCOL_TLS_CLIENT)  # of itself: certificate required, host name checked
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _Socket
    try:
        if settings.ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cafile=settings.ca_file)
    except OSError as error:
        raise ConfigError(f"[mqtt] ca_file {settings.ca_file} cannot be used: {error}") from error
    if settings.cert_file is not None:
        _show_certificate(context, settings.cert_file, settings.key_file)
    return context


def _show_certificate(context: Tls, certificate: Path, key: Path | None) -> None:
    check_private(key or certificate, "[mqtt] key_file")
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        raise ConfigError(f"[mqtt] cert_file {certificate} with key_file {key} cannot be used: {error}") from error


def _no_password() -> str:
    """Otherwise the library would ask at the terminal."""
    raise ValueError("the key is protected by a pass phrase: write it without one, mode 0600")


def _own(settings: MqttSettings) -> tuple[Validity, ...]:
    files = (("[mqtt] cert_file", settings.cert_file), ("[mqtt] ca_file", settings.ca_file))
    return tuple(of_file(path, what) for what, path in files if path is not None)


def _endpoint(url: str, settings: MqttSettings) -> Endpoint:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"[mqtt] url {url!r}: {error}") from error
    if parts.username is not None or parts.password is not None:
        raise ConfigError("[mqtt] url holds a user name or password: use username and password_file")
    if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ConfigError(f"[mqtt] url {url!r}: expected mqtt://host:port or mqtts://host:port")
    where = port or _PORTS[parts.scheme]
    if parts.scheme == "mqtts":
        return Endpoint(url, parts.hostname, where, _tls(settings), _own(settings))
    return Endpoint(url, _checked(url, parts.hostname), where, None)


def _checked(url: str, host: str) -> str:
    """Of an address it is known at the start whose it is; where a name leads is found out when it is connected to."""
    if is_address(host) and not _is_here(host):
        raise ConfigError(f"[mqtt] url {url!r}: {_stranger(host, [host])}")
    return host


def here(host: str, addresses: Sequence[str]) -> str:
    """In clear only to this computer. The address instead of the name: what it means may change later."""
    if not addresses or not all(map(_is_here, addresses)):
        raise PermissionError(_stranger(host, addresses))
    return _LOCAL if _LOCAL in addresses else addresses[0]


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _is_here(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _stranger(host: str, addresses: Sequence[str]) -> str:
    strangers = ", ".join(sorted(set(addresses)))
    return f"{host} is {strangers}: in clear only to this computer, write mqtts:// (port 8883)"
