"""``station.toml``: every mistake is found, at its line and column, with what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from cycler_ctl.config import Config, check_config_text, find_config, load_config, safe_off_entries
from cycler_ctl.errors import ConfigError
from cycler_ctl.instrument import DriverSpec, Link, LinkDefaults
from cycler_ctl.stationfile.positions import Place, find_places
from protocols.diagnostics import render

GOOD = """\
[station]
name = "lab-3"
site = "kasuga"

[mqtt]
url = ["mqtts://broker-1.lab:8883", "mqtt://127.0.0.1:1883"]
username = "lab-3"
password_file = "secrets/mqtt"

[http]
listen = "127.0.0.1:8787"

[instruments.smu1]
driver = "smu"
address = "TCPIP0::127.0.0.1::5025::SOCKET"
nplc = 2

[instruments.oven1]
driver = "oven"
address = "serial:///dev/ttyUSB1?baudrate=9600"

[channels.a1]
instrument = "smu1"
sample_every = "500 ms"
limits = { voltage = "-0.5 V to 5 V", current = "10 mA", temperature = "20 °C to 140 °C", step_time = "10 d" }
temperature = "oven1"
"""


class SmuOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")
    nplc: float = 1.0
    regulation: str = "bounded"


class NoOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")


async def _off(link: Link) -> None:
    await link.write(b"OFF")


def _connect(link: Link, options: object) -> object:
    raise NotImplementedError


SPECS = {
    "smu": DriverSpec("SMU", SmuOptions, LinkDefaults(), _connect, ("1", "2"), _off),  # type: ignore[arg-type]
    "oven": DriverSpec("Oven", NoOptions, LinkDefaults(), _connect),  # type: ignore[arg-type]
}


def _load(name: str) -> DriverSpec:
    if name not in SPECS:
        raise ConfigError(f"no driver is called '{name}'; did you mean 'smu'?")
    return SPECS[name]


def errors(text: str) -> list[str]:
    """``line:column code`` of each."""
    config, found = check_config_text(text, "station.toml", _load)
    assert (config is None) == bool(found)
    return [f"{one.line}:{one.column} {one.code}" for one in found]


def test_a_good_file_becomes_settings_in_si() -> None:
    config, found = check_config_text(GOOD, "/lab/station.toml", _load)
    assert found == ()
    assert config is not None
    channel = config.channels["a1"]
    assert channel.sample_every_s == 0.5
    assert channel.limits.voltage_V == (-0.5, 5.0)
    assert channel.limits.current_A == 0.010
    assert channel.limits.temperature_degC == (20.0, 140.0)
    assert channel.limits.step_time_s == 864000.0
    assert config.instruments["smu1"].options == {"nplc": 2}
    assert config.station.data_dir == Path("/lab").absolute() / "data"
    assert config.mqtt.password_file == Path("/lab").absolute() / "secrets" / "mqtt"
    assert config.mqtt.url[0] == "mqtts://broker-1.lab:8883"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('site = "kasuga"', 'sit = "kasuga"', ["3:1 unknown-key"]),
        ('site = "kasuga"', 'site = "Kasuga Lab"', ["3:8 name"]),
        ('name = "lab-3"\nsite', "site", ["1:2 missing-key"]),
        ('name = "lab-3"\nsite', 'nam = "lab-3"\nsite', ["2:1 unknown-key"]),
        ('name = "lab-3"\nsite', "name = 3\nsite", ["2:8 shape"]),
        ('name = "lab-3"\nsite', 'name = ""\nsite', ["2:8 shape"]),
        ('name = "lab-3"\nsite', 'name = "lab-3\nsite', ["2:14 toml-syntax"]),
        ('site = "kasuga"', 'name = "lab-4"', ["3:1 duplicate-key"]),
        ("[station]", "[Station]", ["1:2 unknown-key"]),
        ("[station]", "station = 3\n[station2]", ["1:11 shape", "2:2 unknown-key"]),
        ("nplc = 2", 'nplc = "two"', ["16:8 option"]),
        ("nplc = 2", "nplcs = 2", ["16:1 unknown-key"]),
        ("nplc = 2", 'regulation = "current"', ["16:1 unknown-key"]),
        ("nplc = 2", 'backend = "nivisa"', ["16:11 choice"]),
        ('driver = "smu"', 'driver = "smv"', ["14:10 driver"]),
        ('driver = "smu"\n', "", ["13:14 missing-key"]),
        ("[instruments.smu1]", "[instruments.SMU1]", ["13:14 name", "23:14 reference"]),
        ('"TCPIP0::127.0.0.1::5025::SOCKET"', '"COM3"', ["15:11 address"]),
        ('"serial:///dev/ttyUSB1?baudrate=9600"', '"TCPIP0::127.0.0.1::5025::SOCKET"', ["20:11 conflict"]),
        ("[channels.a1]", "[channels.a_1]", ["22:11 name"]),
        ('instrument = "smu1"', 'instrument = "smu2"', ["23:14 reference"]),
        ('instrument = "smu1"', 'instrument = "oven1"', ["23:14 reference"]),
        ('instrument = "smu1"', 'instrument = "smu1"\noutput = "3"', ["24:10 choice"]),
        ('"500 ms"', '"500"', ["24:17 unit-missing"]),
        ('"500 ms"', "0.5", ["24:16 unit-missing"]),
        ('"500 ms"', "true", ["24:16 shape"]),
        ('"500 ms"', '"0.5 mA"', ["24:17 dimension"]),
        ('"500 ms"', '"-1 s"', ["24:17 out-of-range"]),
        ('"500 ms"', '"1 min"', ["24:16 out-of-range"]),
        ('"-0.5 V to 5 V"', '"5 V to -0.5 V"', ["25:23 out-of-range"]),
        ('"-0.5 V to 5 V"', '"5 V"', ["25:23 shape"]),
        ('"-0.5 V to 5 V"', '"-0.5 V to 5 A"', ["25:33 dimension"]),
        ('voltage = "-0.5 V to 5 V", ', "", ["25:1 missing-key"]),
        ('current = "10 mA", ', "", ["25:1 missing-key"]),
        ('current = "10 mA"', 'curent = "10 mA"', ["25:39 unknown-key"]),
        ('current = "10 mA"', "current = 10", ["25:49 unit-missing"]),
        ('step_time = "10 d" }', 'step_time = "10 d" }\nlimits.x = 1', ["26:1 duplicate-key"]),
        ('temperature = "oven1"\n', "", ["25:58 missing-key"]),
        ('temperature = "oven1"', 'temperature = "oven2"', ["26:15 reference"]),
        ('temperature = "oven1"', 'temperature = "oven1"\nauto_resume = "yes"', ["27:15 shape"]),
        ('temperature = "oven1"', 'temperature = "oven1"\nauto_resume_gap = "1 V"', ["27:20 dimension"]),
        ('temperature = "oven1"', 'temperature = "oven1"\nv_short = "9 V"', ["27:11 nesting"]),
        ('temperature = "oven1"', 'temperature = "oven1"\nv_short = "-1 V"', ["27:12 out-of-range"]),
        ('temperature = "oven1"', 'temperature = "oven1"\npolarity_window = "-1 V to 4 V"', ["27:19 nesting"]),
        ('temperature = "oven1"', 'temperature = "oven1"\nr_max = "50"', ["27:10 unit-missing"]),
        ('temperature = "oven1"', 'temperature = "oven1"\nslew_max = "5 K/min"', ["27:13 dimension"]),
        ('temperature = "oven1"', 'temperature = "oven1"\ntemperature_stuck = "1 min"', ["27:21 out-of-range"]),
        (
            'temperature = "oven1"\n',
            'temperature = "unmonitored"\ntemperature_slew_max = "5 K/min"\n',
            ["27:1 missing-key"],
        ),
        ('step_time = "10 d"', 'power = "1 W"', ["25:99 nesting"]),
        ('temperature = "oven1"', 'temperature = "oven1"\nregulation = "cc"', ["27:14 choice"]),
        ('temperature = "oven1"', 'temperature = "oven1"\ndebounce = 0', ["27:12 out-of-range"]),
        ('temperature = "oven1"', 'temperature = "oven1"\naccept_class_c = { who = "me" }', ["27:1 missing-key"]),
        ("[http]", '[escalation]\ncommand = ["/nowhere/pdu"]\n[http]', ["11:11 reference"]),
        ("[http]", "[escalation]\ncommand = 3\n[http]", ["11:11 shape"]),
        ("[http]", "[escalation]\ncommand = []\n[http]", ["11:11 reference"]),
        ("[http]", '[notify]\nto = "x"\n[http]', ["11:1 missing-key", "11:6 shape"]),
        ("[http]", '[notify.phone]\nto_file = "x"\non = []\n[http]', ["12:6 missing-key"]),
        ("[http]", '[notify.phone]\non = "alarm"\n[http]', ["10:9 missing-key"]),
        ("[http]", '[notify.phone]\nto_file = "x"\nto_env = "X"\n[http]', ["12:1 conflict"]),
        ("[http]", '[notify.phone]\nto_file = "x"\non = ["alarms"]\n[http]', ["12:7 choice"]),
        ("[http]", '[notify.phone]\nto_file = "x"\nchannels = "a9"\n[http]', ["12:12 reference"]),
        ("[http]", '[notify.phone]\nto_file = "x"\nquiet = "22 to 7"\n[http]', ["12:9 shape"]),
        ("[http]", '[notify.phone]\nto_file = "x"\nquiet = "07:00 to 07:00"\n[http]', ["12:9 shape"]),
        ("[http]", '[notify.phone]\nto_file = "x"\nat_most = 0\n[http]', ["12:11 out-of-range"]),
        ("[http]", '[notify.phone]\nto_file = "x"\nrepeat = "10 s"\n[http]', ["12:10 out-of-range"]),
        ('"127.0.0.1:8787"', '"0.0.0.0:8787"', ["11:10 unsafe"]),
        ('"127.0.0.1:8787"', '"0.0.0.0:8787"\ntls_cert = "c"\ntls_key = "k"', ["11:10 unsafe"]),
        ('"127.0.0.1:8787"', '"8787"', ["11:10 shape"]),
        ('"127.0.0.1:8787"', '"127.0.0.1:99999"', ["11:10 shape"]),
        ('"mqtt://127.0.0.1:1883"', '"mqtt://broker.lab:1883"', ["6:37 unsafe"]),
        ('"mqtt://127.0.0.1:1883"', '"http://broker.lab"', ["6:37 shape"]),
        ('"mqtt://127.0.0.1:1883"', '"mqtts://me:secret@broker.lab"', ["6:37 unsafe"]),
        ('"mqtt://127.0.0.1:1883"', "5", ["6:37 shape"]),
        ('username = "lab-3"\n', "", ["7:1 missing-key"]),
        ('username = "lab-3"', 'commands = "no"', ["7:12 shape", "8:1 missing-key"]),
        ('username = "lab-3"', 'username = "lab-3"\npassword_env = "PW"', ["8:1 conflict"]),
        ('username = "lab-3"', 'username = "lab-3"\nkey_file = "k"', ["8:1 missing-key"]),
        ('username = "lab-3"', 'username = "lab-3"\ncommand_key_file = "k"', ["8:1 missing-key"]),
        ('username = "lab-3"', 'username = "lab-3"\ncommands = true', ["8:1 missing-key"]),
        ('username = "lab-3"', 'username = "lab-3"\nverify = false', ["8:1 unknown-key"]),
    ],
)
def test_each_mistake_is_found_where_it_stands(old: str, new: str, expected: list[str]) -> None:
    assert GOOD.count(old) == 1
    assert errors(GOOD.replace(old, new)) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"127.0.0.1:8787"', '"0.0.0.0:8787"\ntls_cert = "c"\ntls_key = "k"\ntoken_file = "t"'),
        ('"127.0.0.1:8787"', '"[::1]:8787"'),
        ('"127.0.0.1:8787"', '"localhost:0"'),
        ('username = "lab-3"\npassword_file = "secrets/mqtt"', ""),
        ('temperature = "oven1"', 'temperature = "unmonitored"'),
        ('instrument = "smu1"', 'instrument = "smu1"\noutput = "2"'),
        ('temperature = "oven1"', 'temperature = "oven1"\naccept_class_b = { who = "A. N.", when = "2026-01-01" }'),
    ],
)
def test_what_is_safe_is_accepted(old: str, new: str) -> None:
    assert errors(GOOD.replace(old, new)) == []


def test_in_clear_is_refused_beyond_the_own_machine_with_a_password_or_without() -> None:
    plain = GOOD.replace('"mqtts://broker-1.lab:8883", ', "")
    assert errors(plain) == []
    there = plain.replace("127.0.0.1:1883", "10.0.0.5:1883")
    assert errors(there) == ["6:8 unsafe"]
    assert errors(there.replace('username = "lab-3"\npassword_file = "secrets/mqtt"', "")) == ["6:8 unsafe"]


def test_two_channels_cannot_share_an_output() -> None:
    text = GOOD + '\n[channels.a2]\ninstrument = "smu1"\nlimits = { voltage = "0 V to 1 V", current = "1 mA" }\n'
    assert errors(text) == ["29:14 conflict"]
    assert errors(text.replace("[channels.a2]", '[channels.a2]\noutput = "2"')) == []


def test_all_errors_are_reported_in_the_order_of_the_file() -> None:
    text = GOOD.replace('"10 mA"', '"10 V"').replace("lab-3", "Lab 3", 1).replace('"oven1"', '"oven7"')
    assert errors(text) == ["2:8 name", "25:50 dimension", "26:15 reference"]


def test_an_error_shows_the_line_a_caret_and_what_to_write() -> None:
    _, (error,) = check_config_text(GOOD.replace("sample_every", "sample_evry"), "station.toml", _load)
    assert render(error) == (
        "station.toml:24:1: error[unknown-key]: channels.a1 has no 'sample_evry'\n"
        '   24 | sample_evry = "500 ms"\n'
        "      | ^\n"
        "      = help: did you mean 'sample_every'?"
    )


@pytest.mark.parametrize(
    "text", ["", "[station]", "x", "[", "a = [" * 20000, "a = 1\r\nb", "\ufeff", "a = 1" * 300_000]
)
def test_anything_at_all_gives_errors_and_never_a_crash(text: str) -> None:
    assert errors(text)


@given(st.text(alphabet="[]{}=\".'#\n,a1 \\", max_size=60))
def test_any_text_gives_errors_and_never_a_crash(text: str) -> None:
    assert errors(text)


def test_places_are_found_in_every_form_toml_has() -> None:
    text = (
        "top = 1 # [no]\n"
        "\"quoted key\".dotted . deep = 'x#' \n"
        '[a."b.c"]\n'
        'multi = """\n[not.a.table]\nx = "1"\\"""" \n'
        "list = [ 1, # one\n  {k = 2},\n]\n"
        "[[many]]\nx = 1\n[[many]]\nx = 2\n[many.sub]\ny=3\n"
    )
    places = find_places(text)
    assert places["top",] == Place(1, 1, 1, 7)
    assert places["quoted key", "dotted", "deep"] == Place(2, 23, 2, 30)
    assert places["a", "b.c"] == Place(3, 4, 3, 4)
    assert places["a", "b.c", "multi"] == Place(4, 1, 4, 9)
    assert places["a", "b.c", "list", 1, "k"] == Place(8, 4, 8, 8)
    assert places["many", 1, "x"] == Place(13, 1, 13, 5)
    assert places["many", 1, "sub", "y"] == Place(15, 1, 15, 3)


def test_load_config_raises_with_every_error_rendered(tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_text("[station]\nname = 1\nsit = 2\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    text = str(caught.value)
    assert text.startswith(f"{path}:1:1: error[missing-key]: station.toml needs 'instruments'")
    assert f"{path}:2:8: error[shape]" in text
    assert f"{path}:3:1: error[unknown-key]" in text


def test_a_file_that_is_no_text_or_not_there_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)


def test_the_file_is_looked_for_in_four_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CYCLER_CTL_CONFIG", raising=False)
    with pytest.raises(ConfigError, match=r"no station\.toml found"):
        find_config(None)
    named, local = tmp_path / "named.toml", tmp_path / "station.toml"
    local.touch()
    assert find_config(None) == Path("station.toml")
    monkeypatch.setenv("CYCLER_CTL_CONFIG", str(named))
    with pytest.raises(ConfigError, match="CYCLER_CTL_CONFIG"):
        find_config(None)
    named.touch()
    assert find_config(None) == named
    assert find_config(local) == local


def test_safe_off_entries_hold_what_turning_off_needs() -> None:
    address = 'address = "TCPIP0::127.0.0.1::5025::SOCKET"'
    config, _ = check_config_text(GOOD.replace(address, f'{address}\nserial = "1234"'), "station.toml", _load)
    assert isinstance(config, Config)
    entry = safe_off_entries(config)["smu1"]
    assert (entry.name, entry.driver, entry.address) == ("smu1", "smu", "TCPIP0::127.0.0.1::5025::SOCKET")
    assert entry.serial == "1234"
