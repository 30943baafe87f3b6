"""Before anything is energised: a protocol, a channel and an instrument become a run, or a refusal that says why."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cycler_ctl.config import ChannelSettings, Config, InstrumentSettings, Limits, StationSettings
from cycler_ctl.errors import ConfigError, RefusedError
from cycler_ctl.instrument import Identity, Protection, Ratings
from cycler_ctl.plugins import load_driver
from cycler_ctl.running.start import Order, Spot, overrides_of, prepare, read_order, spot_of
from cycler_ctl.settings import Acceptance
from drivers.keithley_2450_ratings import SPECS
from drivers.keithley_2450_settings import drive_for
from protocols.model import ConstantVoltage
from protocols.reading.documents import Document
from protocols.shipped import library

LIMITS = Limits(voltage_V=(-0.5, 5.0), current_A=10e-3, step_charge_Ah=20e-3)
CHANNEL = ChannelSettings(instrument="smu1", limits=LIMITS, temperature="unmonitored")
TEXT = library()["fig_s3_c"].read_text(encoding="utf-8")
ORDER = Order(Document("c.yaml", TEXT))
IDENTITY = Identity("KEITHLEY", "2400", "1234567", "C34")


HOLD = """
protocol: 1
name: Hold
cell: {name: GN-7, nominal_capacity: 3 mAh, discharge_means: lithiate}
steps:
  - hold: {at: 4 V, until: current <= 0.1 mA, for: 1 h}
"""


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


@pytest.mark.parametrize("sensor", [None, "unmonitored"])
@pytest.mark.parametrize(
    ("steps", "step"),
    [
        ("- rest: {until: temperature >= 118 °C for 10 min, for: 2 h}", "step 1 "),
        ("- lithiate: {at: 0.1 mA, until: 0.2 V, for: 9 h, abort_if: temperature >= 140 °C}", "step 1 "),
        (
            "- lithiate: {at: 0.1 mA, until: 0.2 V, for: 9 h, then_hold_until: 1 h, abort_if: temperature >= 140 °C}",
            "step 1.cc ",
        ),
        (
            "- gitt: {lithiate: {at: 0.1 mA, for: 9 min}, rest: 1 h, until: 0.2 V or temperature >= 140 °C, pulses: 9}",
            "step 1 ",
        ),
    ],
)
def test_a_condition_on_a_temperature_nobody_measures_is_refused(steps: str, step: str, sensor: str | None) -> None:
    text = TEXT[: TEXT.index("steps:")].replace("  temperature: 110 °C to 135 °C\n", "") + f"steps:\n  {steps}\n"
    with pytest.raises(RefusedError, match=f"{step}watches the temperature"):
        prepare(Order(Document("t.yaml", text)), spot(channel(temperature=sensor)), 1.8e9)
    assert prepare(Order(Document("t.yaml", text)), spot(channel(temperature="oven1")), 1.8e9)


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


CELL = "cell: {name: MG-7, area: 1 cm2, nominal_capacity: 2 mAh}\n"
SAFETY = "safety: {voltage: -0.1 V to 2.5 V, current: 2 mA}\n"
INCLUDING = """protocol: 1
name: Including
include: [cell.yaml, safety.yaml]
record: every 10 s
steps:
  - lithiate: {at: 0.1 mA, until: 0.2 V, for: 1 h}
"""


def written(folder: Path, **texts: str) -> Path:
    for name, text in {"p": INCLUDING, "cell": CELL, "safety": SAFETY, **texts}.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder / "p.yaml"


def test_an_order_carries_the_texts_of_what_it_includes_and_nothing_reads_the_files_again(tmp_path: Path) -> None:
    order = read_order(written(tmp_path), None, {}, "K. Abe")
    assert order.sent == {"cell.yaml": CELL, "safety.yaml": SAFETY}
    written(tmp_path, cell="cell: {name: ANOTHER, area: 1 cm2}\n")
    prepared = prepare(order, spot(), 1.8e9)
    assert prepared.program.cell.name == "MG-7"
    assert prepared.info.settings["started_by"] == prepared.by == "K. Abe"
    documents: Any = prepared.info.settings["documents"]
    assert [(one["name"], one["text"]) for one in documents] == [("cell.yaml", CELL), ("safety.yaml", SAFETY)]
    assert documents[0]["sha256"] == hashlib.sha256(CELL.encode()).hexdigest()


def test_a_cell_given_at_the_start_is_no_included_file(tmp_path: Path) -> None:
    cell = tmp_path / "mine.yaml"
    cell.write_text(CELL.replace("MG-7", "MG-8"), encoding="utf-8")
    order = read_order(written(tmp_path, p=INCLUDING.replace("[cell.yaml, safety.yaml]", "safety.yaml")), cell, {})
    assert order.sent == {"safety.yaml": SAFETY}
    prepared = prepare(order, spot(), 1.8e9)
    assert prepared.program.cell.name == "MG-8"
    documents: Any = prepared.info.settings["documents"]
    assert [one["name"] for one in documents] == ["safety.yaml", str(cell)]


def test_a_file_that_was_not_sent_is_one_clear_error_with_its_place() -> None:
    order = Order(Document("p.yaml", INCLUDING), sent={"cell.yaml": CELL})
    with pytest.raises(ConfigError) as refused:
        prepare(order, spot(), 1.8e9)
    assert "p.yaml:3:22: error[include]: 'safety.yaml' was not sent with this protocol" in str(refused.value)
    assert str(refused.value).count("error[") == 1


def test_a_file_that_is_not_there_is_one_clear_error_before_anything_is_sent(tmp_path: Path) -> None:
    file = written(tmp_path)
    (tmp_path / "safety.yaml").unlink()
    with pytest.raises(ConfigError) as refused:
        read_order(file, None, {})
    assert "p.yaml:3:22: error[include]: no file 'safety.yaml' next to this protocol" in str(refused.value)
    assert str(refused.value).count("error[") == 1


def test_a_file_too_long_or_wrong_that_was_sent_is_named() -> None:
    for text, words in (
        ("x: " + "1" * 1_100_000, "'safety.yaml' is larger"),
        ("safety: {voltage: 3}\n", "safety.yaml:1:19"),
    ):
        order = Order(Document("p.yaml", INCLUDING), sent={"cell.yaml": CELL, "safety.yaml": text})
        with pytest.raises(ConfigError) as refused:
            prepare(order, spot(), 1.8e9)
        assert words in str(refused.value)


def test_every_step_of_the_record_has_a_ceiling() -> None:
    text = """protocol: 1
name: Full cell
cell: {name: GN-7, nominal_capacity: 3 mAh, discharge_means: lithiate}
record: every 10 s
safety: {voltage: 2.6 V to 4.35 V, current: 4 mA}
steps:
  - repeat:
      times: 2
      for_each: {rate: [C/2, 1C]}
      steps:
        - charge: {at: $rate, until: 4.2 V, then_hold_until: C/20}
        - gitt: {discharge: {at: C/5, for: 10 min}, rest: 20 min, until: 3.0 V}
  - hold: {at: 3.7 V, until: 0.1 mA}
"""
    prepared = prepare(Order(Document("full.yaml", text)), spot(), 1.8e9)
    assert set(prepared.ceilings) == {"1.1.cc", "1.1.cv", "1.2.p", "1.2.r", "2"}
    for path, one in prepared.ceilings.items():
        assert math.isfinite(one.time_s), path
        assert path == "1.2.r" or math.isfinite(one.charge_Ah), path
    assert prepared.hold_limit_A == pytest.approx(0.98 * 4e-3)


@pytest.mark.parametrize(("channel_A", "limit_A"), [(10.8e-3, 10.4e-3), (10.6e-3, 10.388e-3), (11e-3, 10.78e-3)])
def test_a_hold_without_a_limit_of_its_own_takes_one_that_a_2450_can_set(channel_A: float, limit_A: float) -> None:
    """Its 100 mA range limits from 10.7 mA on, its 10 mA range up to 10.4 mA: 0.98 of 10.8 mA lies between."""
    spec = load_driver("keithley-2450")
    assert spec.ratings is not None
    rated = spec.ratings(spec.options())
    prepared = prepare(Order(Document("h.yaml", HOLD)), spot(limited(current_A=channel_A), rated), 1.8e9)
    assert prepared.hold_limit_A == pytest.approx(limit_A)
    assert (
        drive_for(ConstantVoltage(4.0, prepared.hold_limit_A), "bounded", SPECS["2450"], 3.9).limit
        == prepared.hold_limit_A
    )


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
