"""``cycler-ctl schema``: what protocols, station.toml, the MQTT messages and the HTTP interface look like, for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import gettempdir

from cycler_ctl.errors import ConfigError
from cycler_ctl.store.export.atomic import Overwriting, free_path
from protocols.describing.schema import as_file, part_schema, protocol_schema


def show_schema(what: str, out: Path | None = None, overwriting: Overwriting = Overwriting.REFUSED) -> int:
    """Print it, or write it to a file; ConfigError where nothing has that name."""
    if what not in DOCUMENTS:
        raise ConfigError(f"there is no schema {what!r}: it may be {', '.join(DOCUMENTS)}")
    text = DOCUMENTS[what]()
    if out is None:
        sys.stdout.write(text)
        return 0
    free_path(out, overwriting)
    try:
        out.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error}") from error
    sys.stdout.write(f"{out}\n")
    return 0


def _protocol() -> str:
    return as_file(protocol_schema())


def _cell() -> str:
    return as_file(part_schema())


def _station() -> str:
    from cycler_ctl.stationfile.schema import station_schema

    return as_file(station_schema())


def _mqtt() -> str:
    from importlib.metadata import version

    from cycler_ctl.publish.asyncapi import asyncapi

    return _as_text(asyncapi(version("cycler-ctl")))


def _http() -> str:
    try:
        return _as_text(_openapi())
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the HTTP interface needs {error.name}: install it with pip install 'cycler-ctl[web]'"
        ) from error


def _openapi() -> Mapping[str, object]:
    """Of the application as the service makes it, around a station that has nothing; no socket, no thread."""
    from cycler_ctl.web.app import close_app, create_app
    from cycler_ctl.web.nothing import NoActions, NoStation

    app = create_app(
        NoStation(), NoActions(), data_dir=Path(gettempdir()), token="-" * 64, allowed_hosts=frozenset({"localhost"})
    )
    try:
        return app.openapi()
    finally:
        close_app(app)


def _as_text(document: Mapping[str, object]) -> str:
    return json.dumps(document, indent=1) + "\n"


DOCUMENTS: Mapping[str, Callable[[], str]] = {
    "protocol": _protocol,
    "cell": _cell,
    "station": _station,
    "mqtt": _mqtt,
    "http": _http,
}
