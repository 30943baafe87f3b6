"""What MQTT messages say."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cycler_ctl.alarms.model import Alarm, Severity
from cycler_ctl.live import ChannelState, ChannelStatus, InstrumentStatus, state_version
from cycler_ctl.publish import payloads
from protocols.record import JSON, CycleSummary, EventKind, EventRecord

BEAT = payloads.Beat(utc_s=1_800_000_000.0, heartbeat_s=30.0)


def decoded(payload: bytes) -> Any:
    """As a strict reader: NaN and Infinity, which Python's json would take, are errors."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    return json.loads(payload, parse_constant=refuse)


def test_online_tells_when_it_becomes_hearsay() -> None:
    said = decoded(payloads.station_status("online", 1_799_999_990.5, BEAT))
    assert said["state"] == "online"
    assert said["since"] == "2027-01-15T07:59:50.500Z"
    assert said["published_at"] == "2027-01-15T08:00:00.000Z"
    assert said["expires_at"] == "2027-01-15T08:01:15.000Z"
    assert said["heartbeat_s"] == 30


def test_offline_never_expires() -> None:
    assert "expires_at" not in decoded(payloads.station_status("offline", 1.0, BEAT))


def test_the_will_does_not_pretend_to_know_when_the_connection_was_lost() -> None:
    said = decoded(payloads.will(1_800_000_000.0))
    assert (said["state"], said["since"], said["reason"]) == ("offline", None, "connection lost")


def test_a_channel_s_state_has_times_for_people_and_machines_and_null_for_what_is_unknown() -> None:
    status = ChannelStatus("a1", "smu1", ChannelState.CANNOT_DEENERGISE, "no answer", 1_800_000_000.0, None)
    said = decoded(payloads.channel_state(status, BEAT))
    assert said["state"] == "cannot_deenergise"
    assert said["energised"] is None
    assert (said["since"], said["since_unix_s"]) == ("2027-01-15T08:00:00.000Z", 1_800_000_000.0)
    assert (said["eta"], said["eta_unix_s"]) == (None, None)
    assert {"run", "step", "cycle", "protocol", "cell", "expires_at"} <= said.keys()


def test_a_channel_s_state_has_another_version_once_it_is_somewhere_else_and_not_for_what_it_measures() -> None:
    status = ChannelStatus("a1", "smu1", ChannelState.RUNNING, "", 1.0, energised=True, run="r", step="2", cycle=1)
    version = decoded(payloads.channel_state(status, BEAT))["state_version"]
    assert len(str(version)) == 16
    for same in ({"setpoint_A": 1e-3}, {"rows_waiting": 7}, {"energised": None}):
        assert state_version(replace(status, **same)) == version
    for other in ({"state": ChannelState.PAUSED}, {"step": "3"}, {"cycle": 2}, {"run": "s"}, {"channel": "a2"}):
        assert state_version(replace(status, **other)) != version


def test_an_alarm_is_flat_and_says_when_it_becomes_hearsay() -> None:
    alarm = Alarm("channel-a1", Severity.EMERGENCY, "cannot_deenergise", "a1 may be on", "go there", 1_800_000_000.0)
    said = decoded(payloads.alarm(alarm, BEAT))
    assert (said["id"], said["severity"], said["since"]) == ("channel-a1", "emergency", "2027-01-15T08:00:00.000Z")
    assert said["expires_at"] == "2027-01-15T08:01:15.000Z"
    assert not any(isinstance(value, dict | list) for value in said.values())


def test_a_manifest_tells_which_rows_belong_to_which_epoch() -> None:
    said = decoded(payloads.manifest("r", 9, "ab", [(41, 1), (42, 6), (43, 10)], final=True))
    stretches = [{"epoch": 41, "first": 1, "last": 5}, {"epoch": 42, "first": 6, "last": 9}]
    assert (said["epoch"], said["first"], said["last"], said["stretches"]) == (43, 1, 9, stretches)


def test_an_instrument_s_status_names_link_identity_and_protection_class() -> None:
    status = InstrumentStatus("smu1", "keithley-2400", "TCPIP0::h::1::SOCKET", "lost", {"serial": "7"}, "B", "x", None)
    said = decoded(payloads.instrument_status(status, BEAT))
    assert (said["link"], said["identity"], said["protection"]) == ("lost", {"serial": "7"}, "B")
    assert said["last_good"] is None


def test_the_latest_sample_is_flat() -> None:
    said = decoded(payloads.latest("r", 7, ("voltage_volt", "step_type"), (3.7, "CC_DCH")))
    assert said == {"voltage_volt": 3.7, "step_type": "CC_DCH", "run": "r", "seq": 7}


def test_a_batch_names_its_columns_and_its_first_row() -> None:
    said = decoded(payloads.samples("r", 5, 61, ("a", "b"), [(1.5, None), (2, "x")]))
    assert said == {
        "v": 1,
        "run": "r",
        "epoch": 5,
        "first_seq": 61,
        "columns": ["a", "b"],
        "rows": [[1.5, None], [2, "x"]],
    }


def test_an_event_carries_its_number_and_its_data() -> None:
    record = EventRecord(12.5, 1_800_000_000.0, EventKind.NOTE, {"text": "voltage", "overshoot_V": math.nan})
    said = decoded(payloads.event("r", 5, 3, record))
    assert (said["n"], said["kind"], said["test_time_second"]) == (3, "note", 12.5)
    assert said["data"] == {"text": "voltage", "overshoot_V": None}


def test_why_a_step_ended_has_the_names_of_the_interface() -> None:
    data: dict[str, JSON] = {"end_reason": "voltage", "also_met": ["time"], "overshoot_V": 2e-4}
    data |= {"crossing_s": 8.5, "crossing_charge_Ah": 1e-3}
    record = EventRecord(12.5, 1_800_000_000.0, EventKind.STEP_ENDED, data)
    said = decoded(payloads.event("r", 5, 3, record))["data"]
    expected = {"reason": "voltage", "also_met": ["time"], "t_cross_s": 8.5, "q_cross_Ah": 1e-3, "overshoot_V": 2e-4}
    assert said == expected


def test_a_summary_gives_mean_voltages_and_null_where_nothing_flowed() -> None:
    cycle = CycleSummary(2, 0.002, 0.0, 0.0074, 0.0, 0.0, 10.0)
    said = decoded(payloads.summary("r", 5, cycle, payloads.Efficiency(0.0, None)))
    assert (said["efficiency"], said["energy_efficiency"]) == (0, None)
    assert said["cycle"] == 2
    assert said["mean_lithiation_V"] == pytest.approx(3.7)
    assert said["mean_delithiation_V"] is None
    assert said["delithiation_over_lithiation_charge"] == 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_whatever_is_encoded_is_strict_json(value: Any) -> None:
    decoded(payloads.encode(value))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_arrives_as_the_same_number(value: float) -> None:
    assert decoded(payloads.encode([value])) == [value]
