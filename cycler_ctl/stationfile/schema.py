"""The JSON Schema (draft 2020-12) of ``station.toml``: its keys are those of the tables that read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cycler_ctl.stationfile.check import (
    ACCEPTANCE,
    CHANNEL,
    DOCUMENT,
    ESCALATION,
    HTTP,
    INSTRUMENT,
    LIMITS,
    MQTT,
    SHARE,
    SHARE_FORMATS,
    STATION,
)
from cycler_ctl.stationfile.notify import EVENTS, QUIET, RULE
from cycler_ctl.stationfile.readers import CHANNEL_NAME, NAME, Table
from protocols.describing import patterns
from protocols.describing.schema import DIALECT, JSON, JsonObject
from protocols.units import Dimension

TABLES: Mapping[str, Table] = {
    "station": STATION,
    "mqtt": MQTT,
    "http": HTTP,
    "share": SHARE,
    "escalation": ESCALATION,
    "rule": RULE,
    "instrument": INSTRUMENT,
    "channel": CHANNEL,
    "limits": LIMITS,
    "acceptance": ACCEPTANCE,
}


def station_schema() -> JsonObject:
    return {
        "$schema": DIALECT,
        "title": "cycler-ctl station.toml",
        **_object(DOCUMENT, DOCUMENT_KEYS),
        "$defs": {name: _object(table, KEYS[name]) for name, table in TABLES.items()},
    }


def _object(table: Table, known: Mapping[str, JsonObject]) -> JsonObject:
    """A key without a description is still a key: that none is forgotten is tested."""
    return {
        "type": "object",
        "properties": {key: known.get(key, {}) for key in table.fields},
        "required": [key for key, field in table.fields.items() if field.required],
        "additionalProperties": table.others is not None,
    }


def _value(kind: JsonObject, description: str, *examples: JSON) -> JsonObject:
    made: JsonObject = {**kind, "description": description}
    return {**made, "examples": list(examples)} if examples else made


def _named(name: str, table: str, description: str) -> JsonObject:
    named: JsonObject = {f"^{name}$": {"$ref": f"#/$defs/{table}"}}
    return {
        "type": "object",
        "description": description,
        "patternProperties": named,
        "additionalProperties": False,
        "minProperties": 1,
    }


def _table(name: str, description: str) -> JsonObject:
    return {"$ref": f"#/$defs/{name}", "description": description}


def _quantity(dimension: Dimension) -> JsonObject:
    return {"type": "string", "pattern": patterns.whole(patterns.quantity((dimension,), literal=True))}


def _range(dimension: Dimension) -> JsonObject:
    end = patterns.quantity((dimension,), signed=True, literal=True)
    return {"type": "string", "pattern": patterns.whole(rf"{end}\s+to\s+{end}")}


def _choice(*words: str) -> JsonObject:
    choices: Sequence[JSON] = words
    return {"enum": list(choices)}


TEXT: JsonObject = {"type": "string", "minLength": 1}
DAY: JsonObject = {"type": "string", "format": "date", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
SLUG: JsonObject = {"type": "string", "pattern": f"^{NAME.pattern}$"}
FLAG: JsonObject = {"type": "boolean"}
URLS: JsonObject = {"anyOf": [TEXT, {"type": "array", "items": TEXT}]}

DOCUMENT_KEYS: Mapping[str, JsonObject] = {
    "station": _table("station", "Who this station is and where its data go."),
    "mqtt": _table("mqtt", "Where readings are published. Without a url: the bundled broker."),
    "http": _table("http", "The live page and the HTTP interface."),
    "share": _table("share", "A folder of the group's that ended runs are copied to."),
    "escalation": _table("escalation", "What else is tried where an output does not go off."),
    "notify": _named(NAME.pattern, "rule", "Who is told what by mail, chat or phone, each rule by a name of your own."),
    "instruments": _named(NAME.pattern, "instrument", "The instruments, each by a name of your own."),
    "channels": _named(CHANNEL_NAME.pattern, "channel", "The channels: one cell each, on one output."),
}
KEYS: Mapping[str, Mapping[str, JsonObject]] = {
    "station": {
        "name": _value(SLUG, "The station's name: stands in topics and file names.", "lab-3"),
        "site": _value(SLUG, "Where it stands: the first part of its topics.", "kasuga"),
        "data_dir": _value(TEXT, "Folder of the run files, relative to this file.", "data"),
        "visa_backend": _value(TEXT, "The VISA library: @py, or the vendor's @ivi.", "@py"),
        "may_sleep": _value(
            FLAG,
            "true: runs begin also where this computer runs on its battery or may go to sleep.",
            False,  # noqa: FBT003 - an example
        ),
    },
    "mqtt": {
        "url": _value(URLS, "One or several brokers, tried in turn.", "mqtts://broker-1.lab:8883"),
        "username": _value(TEXT, "The broker's user name.", "lab-3"),
        "password_file": _value(TEXT, "File with the password, relative to this file.", "secrets/mqtt"),
        "password_env": _value(TEXT, "Name of the environment's variable with the password.", "CYCLER_MQTT_PASSWORD"),
        "ca_file": _value(TEXT, "File with the certificates to trust.", "secrets/ca.pem"),
        "cert_file": _value(TEXT, "File with this station's certificate.", "secrets/lab-3.pem"),
        "key_file": _value(TEXT, "File with its key, which only the owner may read.", "secrets/lab-3.key"),
        "home_assistant": _value(FLAG, "Whether Home Assistant finds the channels by itself.", False),  # noqa: FBT003 - an example
        "discovery_prefix": _value(SLUG, "The first part of Home Assistant's discovery topics.", "homeassistant"),
        "commands": _value(FLAG, "Whether MQTT may act; it may always read.", False),  # noqa: FBT003 - an example
        "command_username": _value(TEXT, "The broker's user name of the connection for commands.", "lab-3-cmd"),
        "command_password_file": _value(TEXT, "File with that user's password.", "secrets/mqtt-cmd"),
        "command_cert_file": _value(TEXT, "File with the certificate of that connection.", "secrets/lab-3-cmd.pem"),
        "command_key_file": _value(TEXT, "File with its key, which only the owner may read.", "secrets/lab-3-cmd.key"),
        "operate_secret_file": _value(
            TEXT, "File with the secret that signs stop, pause and skip; only its owner may read it.", "secrets/operate"
        ),
        "start_secret_file": _value(
            TEXT, "File with the secret that may also sign start, on a channel that was armed here.", "secrets/start"
        ),
        "enabled": _value(FLAG, "false: nothing is published.", True),  # noqa: FBT003 - an example
    },
    "http": {
        "listen": _value(
            TEXT, "Address and port. Another address than this computer's own needs TLS and a token.", "127.0.0.1:8787"
        ),
        "tls_cert": _value(TEXT, "File with the certificate.", "secrets/cert.pem"),
        "tls_key": _value(TEXT, "File with its key.", "secrets/key.pem"),
        "token_file": _value(TEXT, "File with the token that actions need.", "secrets/token"),
        "enabled": _value(FLAG, "false: no page and no HTTP interface.", True),  # noqa: FBT003 - an example
    },
    "share": {
        "folder": _value(
            TEXT, "An existing folder; a subfolder of the share, so that it is away with it.", "/mnt/group/cycling"
        ),
        "formats": _value(
            {"anyOf": [_choice(*SHARE_FORMATS), {"type": "array", "items": _choice(*SHARE_FORMATS)}]},
            "What is copied of each run.",
            "bundle",
        ),
    },
    "escalation": {
        "command": _value(
            {"type": "array", "items": TEXT, "minItems": 1},
            "A program on this computer, and its arguments, that cuts the power; which channel it is about is in its "
            "environment.",
        ),
    },
    "rule": {
        "to_file": _value(
            TEXT, "File (0600) with the addresses in apprise's notation, one a line.", "secrets/notify-phone"
        ),
        "to_env": _value(TEXT, "Or the environment variable that holds them."),
        "on": _value(
            {"anyOf": [_choice(*EVENTS), {"type": "array", "items": _choice(*EVENTS), "minItems": 1}]},
            "What is told: severities of alarms, and ends of runs.",
            ["emergency", "alarm", "finished"],
        ),
        "channels": _value(URLS, "Only these channels; alarms that concern none are told all the same.", "a1"),
        "quiet": _value(
            {"type": "string", "pattern": f"^{QUIET.pattern}$"},
            "When, by this computer's clock, only emergencies are told at once; the rest comes after it.",
            "22:00 to 07:00",
        ),
        "at_most": _value(
            {"type": "integer", "minimum": 1, "maximum": 60},
            "Messages in an hour; what comes beyond is told in one. Emergencies are told all the same.",
            12,
        ),
        "repeat": _value(
            _quantity(Dimension.TIME), "After which an emergency that nobody has acknowledged is told again.", "10 min"
        ),
    },
    "instrument": {
        "driver": _value(TEXT, "The driver's name, as 'cycler-ctl drivers' lists it.", "keithley-2400"),
        "address": _value(
            TEXT,
            "A VISA resource name or a serial port.",
            "TCPIP0::127.0.0.1::5025::SOCKET",
            "serial:///dev/ttyUSB0?baudrate=57600",
        ),
        "serial": _value(TEXT, "Refuse any other instrument at this address.", "1234567"),
        "calibrated": _value(DAY, "The day of its last calibration; stands in every run's report.", "2026-03-01"),
        "backend": _value(_choice("visa"), "Use VISA also for addresses that could do without.", "visa"),
    },
    "channel": {
        "instrument": _value(TEXT, "The name of an instrument of this file.", "smu1"),
        "output": _value(TEXT, "Which of its outputs; single ones call it 1.", "1"),
        "sample_every": _value(_quantity(Dimension.TIME), "Time between readings.", "1 s"),
        "regulation": _value(
            _choice("bounded", "current"), "bounded: the instrument itself stays inside the voltage window.", "bounded"
        ),
        "limits": _table("limits", "Hard limits; no protocol can widen them."),
        "temperature": _value(
            TEXT, "The instrument whose sensor watches the cell, or unmonitored.", "oven1", "unmonitored"
        ),
        "accept_class_b": _table("acceptance", "Who accepted that the output is only bounded when the PC is gone."),
        "accept_class_c": _table("acceptance", "Who accepted that nothing bounds the output when the PC is gone."),
        "auto_resume": _value(
            FLAG,
            "true: after a crash or a loss of power a run goes on without a person, where everything is as it was.",
            False,  # noqa: FBT003 - an example
        ),
        "auto_resume_gap": _value(_quantity(Dimension.TIME), "The longest interruption it does so after.", "60 s"),
        "debounce": _value(
            {"type": "integer", "minimum": 1, "maximum": 10}, "Samples in a row a voltage cut-off needs.", 2
        ),
        "slope_window": _value(_quantity(Dimension.TIME), "How long dV/dt looks back.", "60 s"),
        "v_short": _value(_quantity(Dimension.VOLTAGE), "Below this voltage the cell counts as shorted: off.", "1 V"),
        "polarity_window": _value(
            _range(Dimension.VOLTAGE), "Outside it the cell counts as reversed or empty: off.", "1 V to 4.5 V"
        ),
        "r_max": _value(
            _quantity(Dimension.RESISTANCE),
            "Largest change of voltage over that of the current at a step's edge.",
            "50 Ω",
        ),
        "slew_max": _value(
            _quantity(Dimension.SLOPE), "Fastest the voltage may move within a step; its edges are exempt.", "50 mV/s"
        ),
        "temperature_slew_max": _value(
            _quantity(Dimension.HEATING), "Fastest the temperature may move from one value to the next.", "5 K/min"
        ),
        "temperature_stuck": _value(
            _quantity(Dimension.TIME), "A temperature that stands still in all digits so long is not believed.", "6 h"
        ),
    },
    "limits": {
        "voltage": _value(_range(Dimension.VOLTAGE), "Window of the cell's voltage.", "-0.5 V to 5 V"),
        "current": _value(_quantity(Dimension.CURRENT), "Largest current in either direction.", "10 mA"),
        "temperature": _value(_range(Dimension.TEMPERATURE), "Window of the temperature.", "20 °C to 140 °C"),
        "step_capacity": _value(_quantity(Dimension.CAPACITY), "Largest capacity of one step.", "20 mAh"),
        "step_time": _value(_quantity(Dimension.TIME), "Longest time of one step.", "10 d"),
        "power": _value(_quantity(Dimension.POWER), "Largest power in either direction.", "40 mW"),
    },
    "acceptance": {
        "who": _value(TEXT, "Their name.", "A. Researcher"),
        "when": _value(TEXT, "The day.", "2026-11-22"),
    },
}
