"""Serves the HTTP application inside an event loop of ours, and refuses to start where that would be unsafe."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from cycler_ctl.config import HttpSettings
from cycler_ctl.errors import ConfigError
from cycler_ctl.web.access import TOKEN_FILE, load_or_make_token, read_token
from cycler_ctl.web.app import close_app

LAST_ANSWERS_S = 2


def token_of(settings: HttpSettings, data_dir: Path) -> str:
    """The token from ``token_file``, else one of our own beside the data."""
    if settings.token_file is not None:
        return read_token(settings.token_file)
    return load_or_make_token(data_dir / TOKEN_FILE)


def allowed_hosts_of(settings: HttpSettings) -> frozenset[str]:
    """The names this service answers to; any port, because the one asked for may have been taken by then."""
    host, _ = split_address(settings.listen)
    local = {"localhost", "127.0.0.1", "[::1]"}
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        return frozenset(local | {socket.gethostname().lower(), socket.getfqdn().lower()})
    named = f"[{host}]" if ":" in host else host.lower()
    return frozenset(local | {named}) if is_loopback(host) else frozenset({named})


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def split_address(listen: str) -> tuple[str, int]:
    """``HOST:PORT`` or ``[IPV6]:PORT``."""
    host, colon, port = listen.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not (colon and bare and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ConfigError(f"[http] listen = {listen!r}: expected HOST:PORT, for example 127.0.0.1:8787")
    return bare, int(port)


@contextlib.asynccontextmanager
async def serve_http(
    app: FastAPI, settings: HttpSettings, close: Callable[[FastAPI], None] = close_app
) -> AsyncGenerator[str]:
    """Yield the address, such as ``http://127.0.0.1:8787``; on leaving, ``close`` ends streams and the port is free again."""
    check_exposure(settings)
    host, port = split_address(settings.listen)
    config = _config(app, settings)
    with _listen(host, port, settings.listen) as listener:
        async with _running(_Server(config), listener, lambda: close(app)):
            shown = f"[{host}]" if ":" in host else host
            yield f"{'https' if config.is_ssl else 'http'}://{shown}:{listener.getsockname()[1]}"


def check_exposure(settings: HttpSettings) -> None:
    """Beyond this computer only with TLS and a token that somebody chose to hand out."""
    host, _ = split_address(settings.listen)
    needed = {"tls_cert": settings.tls_cert, "tls_key": settings.tls_key, "token_file": settings.token_file}
    missing = [name for name, value in needed.items() if value is None]
    if missing and not is_loopback(host):
        raise ConfigError(
            f"[http] listen = {settings.listen!r} can be reached from other computers and needs "
            f"{', '.join(missing)} as well; or listen on 127.0.0.1"
        )
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise ConfigError("[http] tls_cert and tls_key belong together: give both or neither")


class _Server(uvicorn.Server):
    """Leaves the process's signals alone (shutting down in order is the daemon's work) and says when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()


@contextlib.asynccontextmanager
async def _running(server: _Server, listener: socket.socket, close: Callable[[], None]) -> AsyncGenerator[None]:
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    ready = asyncio.create_task(server.ready.wait(), name="http ready")
    try:
        await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        yield
    finally:
        ready.cancel()
        close()
        server.should_exit = True
        await _finish(serving)


async def _finish(serving: asyncio.Task[None]) -> None:
    """Wait for the last answers; a second cancellation cuts them short but leaves no task behind."""
    try:
        await asyncio.shield(serving)
    finally:
        if not serving.done():
            serving.cancel()
            await asyncio.wait({serving})


def _listen(host: str, port: int, listen: str) -> socket.socket:
    """A bound socket of our own: uvicorn would end the whole process where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would let two programs share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        listener.setblocking(False)  # noqa: FBT003 - the library's own signature
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"[http] listen = {listen!r}: cannot listen there ({error.strerror}); "
            "end the other program on this port, or choose another: listen in station.toml, --port of the demo"
        ) from error
    return listener


def _config(app: FastAPI, settings: HttpSettings) -> uvicorn.Config:
    """Loaded here, so that a bad certificate is a message and not a crash inside the server's task."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=LAST_ANSWERS_S,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"[http] tls_cert, tls_key: cannot be used: {error}") from error
    return config
