"""Before anything is energised: a protocol, a channel and an instrument become a run, or a refusal that says why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cycler_ctl.config import ChannelSettings, Config, InstrumentSettings, Limits, StationSettings
from cycler_ctl.errors import ConfigError, RefusedError
from cycler_ctl.instrument import Identity, Protection, Ratings
from cycler_ctl.plugins import load_driver
from cycler_ctl.settings import Acceptance
from cycler_ctl.start import Order, Spot, overrides_of, prepare, read_order, spot_of
from protocols.documents import Document
from protocols.shipped import library

LIMITS = Limits(voltage_V=(-0.5, 5.0), current_A=10e-3, step_charge_Ah=20e-3)
CHANNEL = ChannelSettings(instrument="smu1", limits=LIMITS, temperature="unmonitored")
TEXT = library()["fig_s3_c"].read_text(encoding="utf-8")
ORDER = Order(Document("c.yaml", TEXT))
IDENTITY = Identity("KEITHLEY", "2400", "1234567", "C34")


def ratings(**changes: Any) -> Ratings:
    spec = load_driver("keithley-2400")
    assert spec.ratings is not None
    return replace(spec.ratings(spec.options()), **changes)


def spot(channel: ChannelSettings = CHANNEL, rated: Ratings | None = None) -> Spot:
    config = Config(
        station=StationSettings(name="lab-3", data_dir=Path("data")),
        instruments={"smu1": InstrumentSettings(driver="keithley-2400", address="TCPIP0::127.0.0.1::9::SOCKET")},
        channels={"a1": channel},
    )
    return Spot("a1", config, load_driver("keithley-2400"), IDENTITY, rated or ratings())


def channel(**changes: Any) -> ChannelSettings:
    return CHANNEL.model_copy(update=changes)


def limited(**changes: Any) -> ChannelSettings:
    return channel(limits=LIMITS.model_copy(update=changes))


def test_what_fits_becomes_a_run_with_all_that_shaped_it() -> None:
    prepared = prepare(ORDER, spot(), 1.8e9)
    info = prepared.info
    assert info.protocol_text == TEXT
    assert info.run.split("-")[2] == "a1"
    assert info.instrument["serial"] == "1234567"
    assert info.settings["channel"] == CHANNEL.model_dump(mode="json")
    assert prepared.guard.limits.voltage_V[0] >= -0.5
    assert prepared.ceilings


def test_a_given_run_id_is_kept() -> None:
    assert prepare(ORDER, spot(), 1.8e9, "20261122-101500-a1-7f3k").info.run == "20261122-101500-a1-7f3k"


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (spot(channel(temperature=None)), "its temperature is limited and the channel has no sensor"),
        (spot(limited(voltage_V=(0.5, 1.0))), "outside the channel's limits 0.5 V to 1 V"),
        (spot(limited(current_A=1e-5)), "is too much for the channel's limit 0.01 mA"),
        (spot(rated=ratings(voltage_V=(-0.1, 2.0))), "reach beyond the instrument's -0.1 V to 2 V"),
        (spot(rated=ratings(protection=Protection.C, protection_why="current source")), "accept_class_c"),
        (spot(channel(sample_every_s=0.001)), "is faster than the instrument's"),
    ],
)
def test_each_reason_to_refuse_is_named(where: Spot, words: str) -> None:
    with pytest.raises(RefusedError) as refused:
        prepare(ORDER, where, 1.8e9)
    assert words in str(refused.value)
    assert "channel a1 cannot run c.yaml" in str(refused.value)


def test_what_a_person_accepted_is_not_refused() -> None:
    accepted = channel(accept_class_c=Acceptance(who="K. Abe", when="2026-11-22"))
    unsafe = ratings(protection=Protection.C, protection_why="current source")
    assert prepare(ORDER, spot(accepted, unsafe), 1.8e9).info.instrument["protection"] == "C"


def test_a_wrong_protocol_is_the_users_to_mend_and_says_where() -> None:
    with pytest.raises(ConfigError, match=r"bad\.yaml:\d+:\d+: error\[condition\]"):
        prepare(Order(Document("bad.yaml", TEXT.replace("voltage <= $v_low", "V <= 1 V"))), spot(), 1.8e9)


def test_a_protocol_from_the_network_reads_no_file_of_this_computer(tmp_path: Path) -> None:
    text = TEXT.replace("protocol: 1\n", f"protocol: 1\ninclude: {tmp_path / 'cell.yaml'}\n", 1)
    (tmp_path / "cell.yaml").write_text("cell: {name: SECRET}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        prepare(Order(Document("c.yaml", text)), spot(), 1.8e9)
    assert "SECRET" not in str(refused.value)


def test_an_output_the_instrument_does_not_have_is_refused_with_those_it_has() -> None:
    where = spot(channel(output="b"))
    instrument: Any = SimpleNamespace(channels={"1": SimpleNamespace(ratings=ratings())}, identity=IDENTITY)
    with pytest.raises(ConfigError, match=r"no output 'b' \(it has: 1\)"):
        spot_of("a1", where.config, where.spec, instrument)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.yaml"):
        read_order(tmp_path / "no.yaml", None, {})


def test_set_needs_a_name_and_a_quantity() -> None:
    assert overrides_of(["j=0.1 mA/cm2", "x=a=b"]) == {"j": "0.1 mA/cm2", "x": "a=b"}
    with pytest.raises(ConfigError, match="name=quantity"):
        overrides_of(["j"])
