"""The schema of station.toml has exactly the keys that are read, and its examples are accepted."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cycler_ctl.stationfile.check import DOCUMENT, check_config_text
from cycler_ctl.stationfile.readers import Table
from cycler_ctl.stationfile.schema import DOCUMENT_KEYS, KEYS, TABLES, station_schema

SCHEMA = station_schema()
VALID = Draft202012Validator(SCHEMA)
TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "guide" / "first-station.md"
STATION: dict[str, Any] = {
    "station": {"name": "lab-3"},
    "instruments": {
        "smu1": {"driver": "keithley-2400", "address": "TCPIP0::127.0.0.1::5025::SOCKET"},
        "oven1": {"driver": "eurotherm", "address": "serial:///dev/ttyUSB1?baudrate=9600"},
    },
    "channels": {
        "a1": {
            "instrument": "smu1",
            "temperature": "oven1",
            "limits": {"voltage": "-0.5 V to 5 V", "current": "10 mA"},
        },
    },
}
PLACES: dict[str, tuple[str, ...]] = {
    "station": ("station",),
    "mqtt": ("mqtt",),
    "http": ("http",),
    "share": ("share",),
    "rule": ("notify", "phone"),
    "instrument": ("instruments", "smu1"),
    "channel": ("channels", "a1"),
    "limits": ("channels", "a1", "limits"),
    "acceptance": ("channels", "a1", "accept_class_b"),
}
BESIDE: dict[str, dict[str, Any]] = {
    "acceptance": {"who": "A", "when": "2026-11-22"},
    "mqtt": {
        "url": "mqtts://b.lab:8883",
        "username": "u",
        "cert_file": "c",
        "command_username": "v",
        "command_cert_file": "d",
    },
    "share": {"folder": "/mnt/group"},
    "rule": {"to_file": "secrets/phone"},
    "http": {"tls_cert": "c", "tls_key": "k"},
}


def text_of(value: object) -> str:
    """A TOML value; JSON's strings, numbers and lists are TOML's."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {text_of(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(text_of, value)) + "]"
    return str(value).lower() if isinstance(value, bool | int) else f'"{value}"'


def errors(document: dict[str, Any], folder: Path) -> list[str]:
    text = "\n".join(f"{key} = {text_of(value)}" for key, value in document.items())
    return [each.message for each in check_config_text(text, str(folder / "station.toml"))[1]]


def faults(document: dict[str, Any]) -> list[str]:
    return [f"{each.json_path}: {each.message}" for each in VALID.iter_errors(document)]


def with_table(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A whole station, and in it the table of this name."""
    whole = copy.deepcopy(STATION)
    table = whole
    for key in PLACES[name]:
        table = table.setdefault(key, {})
    table.update(copy.deepcopy(BESIDE.get(name, {})))
    return whole, table


@pytest.mark.parametrize(("name", "table"), [*TABLES.items(), ("", DOCUMENT)])
def test_every_key_that_is_read_is_described_and_no_other(name: str, table: Table) -> None:
    described = KEYS[name] if name else DOCUMENT_KEYS
    assert set(described) == set(table.fields)
    assert all(str(each["description"]).endswith(".") for each in described.values())


EXAMPLES = [
    pytest.param(name, key, example, id=f"{name}-{key}-{example}")
    for name, keys in KEYS.items()
    for key, kind in keys.items()
    for example in (kind["examples"] if isinstance(kind.get("examples"), list) else [])  # type: ignore[union-attr]
]


@pytest.mark.parametrize(("name", "key", "example"), EXAMPLES)
def test_reader_and_schema_accept_every_example(name: str, key: str, example: Any, tmp_path: Path) -> None:
    whole, table = with_table(name)
    table[key] = example
    assert faults(whole) == []
    assert errors(whole, tmp_path) == []


WRONG = [
    ("station", "name", "Lab 3"),
    ("station", "nmae", "x"),
    ("http", "enabled", "yes"),
    ("instrument", "backend", "serial"),
    ("channel", "sample_every", "1"),
    ("channel", "sample_every", 1),
    ("channel", "regulation", "voltage"),
    ("channel", "debounce", 0),
    ("limits", "voltage", "5 V"),
    ("limits", "current", "-1 mA"),
    ("limits", "current", "10 mV"),
]


@pytest.mark.parametrize(("name", "key", "value"), WRONG)
def test_what_is_wrong_in_shape_is_refused_by_both(name: str, key: str, value: Any, tmp_path: Path) -> None:
    whole, table = with_table(name)
    assert (faults(whole), errors(whole, tmp_path)) == ([], [])
    table[key] = value
    assert faults(whole)
    assert errors(whole, tmp_path)


@pytest.mark.parametrize("name", ["station", "instruments", "channels"])
def test_a_missing_table_is_refused_by_both(name: str, tmp_path: Path) -> None:
    whole = copy.deepcopy(STATION)
    del whole[name]
    assert faults(whole)
    assert errors(whole, tmp_path)


def test_the_station_of_the_tutorial_is_valid() -> None:
    blocks = TUTORIAL.read_text(encoding="utf-8").split("```toml station.toml\n")[1:]
    (text,) = [block.partition("```")[0] for block in blocks]
    assert faults(tomllib.loads(text)) == []
