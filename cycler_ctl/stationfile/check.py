"""Every error of a ``station.toml``, each with its line and column, or its settings."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

from cycler_ctl.instrument import DriverSpec
from cycler_ctl.plugins import load_driver
from cycler_ctl.settings import Config
from cycler_ctl.stationfile.notify import RULE
from cycler_ctl.stationfile.positions import Path as KeyPath
from cycler_ctl.stationfile.positions import find_places
from cycler_ctl.stationfile.readers import (
    CHANNEL_NAME,
    NAME,
    Field,
    Notes,
    Table,
    anything,
    bounds,
    check_name,
    choice,
    day,
    file_path,
    flag,
    nested,
    one_or_more,
    positive,
    read_table,
    slug,
    table_of,
    text,
    whole,
)
from cycler_ctl.stationfile.sense import check_sense
from protocols.diagnostics import Diagnostic, Mark, Severity, Source, diagnostic_at
from protocols.units import Dimension

LARGEST_BYTES = 1_048_576
TWICE = ("Cannot overwrite", "Cannot declare", "Cannot mutate", "Duplicate")
_AT = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL)

MQTT = Table(
    {
        "url": Field("url", one_or_more(text)),
        "username": Field("username", text),
        "password_file": Field("password_file", file_path),
        "password_env": Field("password_env", text),
        "ca_file": Field("ca_file", file_path),
        "cert_file": Field("cert_file", file_path),
        "key_file": Field("key_file", file_path),
        "home_assistant": Field("home_assistant", flag),
        "discovery_prefix": Field("discovery_prefix", slug),
        "commands": Field("commands", flag),
        "command_username": Field("command_username", text),
        "command_password_file": Field("command_password_file", file_path),
        "command_cert_file": Field("command_cert_file", file_path),
        "command_key_file": Field("command_key_file", file_path),
        "operate_secret_file": Field("operate_secret_file", file_path),
        "start_secret_file": Field("start_secret_file", file_path),
        "enabled": Field("enabled", flag),
    }
)
HTTP = Table(
    {
        "listen": Field("listen", text),
        "tls_cert": Field("tls_cert", file_path),
        "tls_key": Field("tls_key", file_path),
        "token_file": Field("token_file", file_path),
        "enabled": Field("enabled", flag),
    }
)
SHARE_FORMATS = ("bundle", "bdf-csv", "bdf-parquet")
SHARE = Table(
    {
        "folder": Field("folder", file_path, required=True),
        "formats": Field("formats", one_or_more(choice(*SHARE_FORMATS))),
    }
)
ESCALATION = Table({"command": Field("command", one_or_more(text), required=True)})
STATION = Table(
    {
        "name": Field("name", slug, required=True),
        "site": Field("site", slug),
        "data_dir": Field("data_dir", file_path),
        "visa_backend": Field("visa_backend", text),
        "may_sleep": Field("may_sleep", flag),
    }
)
INSTRUMENT = Table(
    {
        "driver": Field("driver", text, required=True),
        "address": Field("address", text, required=True),
        "serial": Field("serial", text),
        "calibrated": Field("calibrated", day),
        "backend": Field("backend", choice("visa")),
    },
    others=anything,
)
LIMITS = Table(
    {
        "voltage": Field("voltage_V", bounds(Dimension.VOLTAGE), required=True),
        "current": Field("current_A", positive(Dimension.CURRENT), required=True),
        "temperature": Field("temperature_degC", bounds(Dimension.TEMPERATURE)),
        "step_capacity": Field("step_charge_Ah", positive(Dimension.CAPACITY)),
        "step_time": Field("step_time_s", positive(Dimension.TIME)),
        "power": Field("power_W", positive(Dimension.POWER)),
    }
)
ACCEPTANCE = Table({"who": Field("who", text, required=True), "when": Field("when", text, required=True)})
CHANNEL = Table(
    {
        "instrument": Field("instrument", text, required=True),
        "output": Field("output", text),
        "sample_every": Field("sample_every_s", positive(Dimension.TIME)),
        "regulation": Field("regulation", choice("bounded", "current")),
        "limits": Field("limits", nested(LIMITS), required=True),
        "temperature": Field("temperature", text),
        "accept_class_b": Field("accept_class_b", nested(ACCEPTANCE)),
        "accept_class_c": Field("accept_class_c", nested(ACCEPTANCE)),
        "auto_resume": Field("auto_resume", flag),
        "auto_resume_gap": Field("auto_resume_gap_s", positive(Dimension.TIME)),
        "debounce": Field("debounce", whole(1, 10)),
        "slope_window": Field("slope_window_s", positive(Dimension.TIME)),
        "v_short": Field("v_short_V", positive(Dimension.VOLTAGE)),
        "polarity_window": Field("polarity_V", bounds(Dimension.VOLTAGE)),
        "r_max": Field("r_max_ohm", positive(Dimension.RESISTANCE)),
        "slew_max": Field("slew_max_V_s", positive(Dimension.SLOPE)),
        "temperature_slew_max": Field("temperature_slew_max_K_s", positive(Dimension.HEATING)),
        "temperature_stuck": Field("temperature_stuck_s", positive(Dimension.TIME)),
    },
)


def _instrument(notes: Notes, path: KeyPath, value: object) -> dict[str, object]:
    check_name(notes, path, str(path[-1]), NAME)
    read = read_table(notes, path, value, INSTRUMENT)
    known = {field.target for field in INSTRUMENT.fields.values()}
    return {
        **{key: item for key, item in read.items() if key in known},
        "options": {key: item for key, item in read.items() if key not in known},
    }


def _rule(notes: Notes, path: KeyPath, value: object) -> dict[str, object]:
    check_name(notes, path, str(path[-1]), NAME)
    return read_table(notes, path, value, RULE)


def _channel(notes: Notes, path: KeyPath, value: object) -> dict[str, object]:
    check_name(notes, path, str(path[-1]), CHANNEL_NAME)
    return read_table(notes, path, value, CHANNEL)


DOCUMENT = Table(
    {
        "station": Field("station", nested(STATION), required=True),
        "mqtt": Field("mqtt", nested(MQTT)),
        "http": Field("http", nested(HTTP)),
        "share": Field("share", nested(SHARE)),
        "escalation": Field("escalation", nested(ESCALATION)),
        "instruments": Field("instruments", nested(Table({}, others=_instrument)), required=True),
        "notify": Field("notify", nested(Table({}, others=_rule))),
        "channels": Field("channels", nested(Table({}, others=_channel)), required=True),
    },
)


def check_config_text(
    content: str, file_name: str, load: Callable[[str], DriverSpec] = load_driver
) -> tuple[Config | None, tuple[Diagnostic, ...]]:
    """The settings, or None and everything that is wrong, in the order of the file."""
    source = Source(file_name, tuple(line.removesuffix("\r") for line in content.split("\n")))
    if len(content) > LARGEST_BYTES:
        return None, (_error(Mark(source, 1, 1), "limit", "station.toml is larger than 1 MiB"),)
    try:
        document = tomllib.loads(content)
        places = find_places(content.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        return None, (_syntax_error(source, str(error)),)
    except RecursionError:
        return None, (_error(Mark(source, 1, 1), "limit", "station.toml is nested too deeply"),)
    notes = Notes(source, places, Path(file_name).absolute().parent)
    read = read_table(notes, (), document, DOCUMENT)
    check_sense(notes, read, load)
    found = tuple(sorted(notes.found, key=lambda diagnostic: (diagnostic.line, diagnostic.column)))
    if found:
        return None, found
    read["station"] = {"data_dir": notes.folder / "data", **table_of(read, "station")}
    return Config.model_validate(read), ()


def _error(mark: Mark, code: str, message: str, advice: str | None = None) -> Diagnostic:
    return diagnostic_at(mark, Severity.ERROR, code, message, advice)


def _syntax_error(source: Source, message: str) -> Diagnostic:
    found = _AT.fullmatch(message)
    if found is None or found["line"] is None:
        last = len(source.lines)
        end = Mark(source, last, len(source.lines[-1]) + 1)
        return _error(end, "toml-syntax", found["what"] if found else message)
    line, column, what = int(found["line"]), int(found["column"]), found["what"]
    if not what.startswith(TWICE):
        return _error(Mark(source, line, column), "toml-syntax", what)
    start = len(source.lines[line - 1]) - len(source.lines[line - 1].lstrip())
    return _error(Mark(source, line, start + 1), "duplicate-key", "this is given a second time", what)
