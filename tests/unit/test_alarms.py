"""Alarms as one model: what is derived from snapshots, how long it lasts, and who has seen it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from cycler_ctl.alarms.board import AlarmBoard
from cycler_ctl.alarms.derive import Known, advance, derive
from cycler_ctl.alarms.facts import Broker, Certificate, ClockStep, Disk, Facts, Sensor
from cycler_ctl.alarms.model import Alarm, Severity
from cycler_ctl.errors import RefusedError
from cycler_ctl.live import ChannelState, ChannelStatus, InstrumentStatus

NOW_S = 1_790_000_000.0
SMU = InstrumentStatus("smu1", "keithley-2400", "TCPIP0::127.0.0.1::5025::SOCKET", "connected", None, "B", "", NOW_S)
RUNNING = ChannelStatus(
    "a1", "smu1", ChannelState.RUNNING, "", NOW_S, energised=True, run="20261122-101500-a1-abcd", cell="MG-0142",
    doing="lithiate 0.3927 mA",
)  # fmt: skip


def of(state: ChannelState, energised: bool | None, reason: str = "why") -> ChannelStatus:
    return replace(RUNNING, state=state, energised=energised, reason=reason)


def found(facts: Facts) -> dict[str, Alarm]:
    return {alarm.id: alarm for alarm in derive(facts)}


def test_a_station_where_all_is_well_has_no_alarm() -> None:
    facts = Facts(
        NOW_S, (RUNNING, replace(RUNNING, channel="a2", state=ChannelState.IDLE, energised=False)), (SMU,),
        (Sensor("oven1", 2.0, ("a1",)),), Disk("data", 10**12), Broker(connected=True),
        (Certificate("http", "cert.pem", NOW_S + 90 * 86_400),),
    )  # fmt: skip
    assert derive(facts) == ()


@pytest.mark.parametrize(
    ("state", "severity"),
    [
        (ChannelState.CANNOT_DEENERGISE, Severity.EMERGENCY),
        (ChannelState.TRIPPED, Severity.ALARM),
        (ChannelState.FAULTED, Severity.ALARM),
        (ChannelState.INTERRUPTED, Severity.ALARM),
    ],
)
def test_a_latched_channel_is_an_alarm_and_an_output_that_does_not_go_off_is_the_loudest(
    state: ChannelState, severity: Severity
) -> None:
    other = replace(of(ChannelState.TRIPPED, energised=False), channel="a0")
    alarms = derive(Facts(NOW_S, (other, of(state, energised=None)), (SMU,)))
    alarm = next(one for one in alarms if one.channel == "a1")
    assert (alarm.id, alarm.severity, alarm.kind, alarm.detail) == ("channel-a1", severity, state.value, "why")
    assert alarms[0].severity is severity


@pytest.mark.parametrize(
    "state", [ChannelState.FINISHED, ChannelState.STOPPED, ChannelState.ABORTED, ChannelState.IDLE]
)
def test_an_end_that_needs_nobody_is_no_alarm(state: ChannelState) -> None:
    assert derive(Facts(NOW_S, (of(state, energised=False),), (SMU,))) == ()


def test_the_line_says_channel_cell_what_happened_and_whether_current_may_flow() -> None:
    said = {
        energised: found(Facts(NOW_S, (of(ChannelState.FAULTED, energised),), (SMU,)))["channel-a1"].what
        for energised in (False, None, True)
    }
    assert all(line.startswith("a1, MG-0142: a fault ended the run; ") for line in said.values())
    assert "the output is off, read back" in said[False]
    assert "current MAY FLOW, nobody can know (last told: lithiate 0.3927 mA)" in said[None]
    assert "the output is ON" in said[True]
    assert [flag for flag, line in said.items() if "off" in line] == [False]


def test_contact_lost_while_energised_is_an_emergency_though_the_run_has_not_ended() -> None:
    lost = replace(SMU, link="lost", message="no answer")
    alarms = found(Facts(NOW_S, (RUNNING,), (lost,)))
    assert alarms["contact-a1"].severity is Severity.EMERGENCY
    assert "the output is ON (last told: lithiate 0.3927 mA)" in alarms["contact-a1"].what
    assert alarms["instrument-smu1"].severity is Severity.WARNING
    assert "contact-a1" not in found(Facts(NOW_S, (replace(RUNNING, energised=False),), (lost,)))


def test_a_run_that_waits_by_itself_is_an_alarm_and_one_that_a_person_paused_is_none() -> None:
    paused = replace(RUNNING, state=ChannelState.PAUSED, energised=False)
    assert derive(Facts(NOW_S, (paused,), (SMU,))) == ()
    held = found(Facts(NOW_S, (replace(paused, reason="no record, no current: disk full"),), (SMU,)))
    assert (held["channel-a1"].kind, held["channel-a1"].severity) == ("held_back", Severity.ALARM)


def test_a_sensor_is_lost_when_its_value_is_older_than_the_guard_takes_and_louder_while_it_watches_a_run() -> None:
    def severity(age_s: float | None, channels: tuple[str, ...]) -> Severity | None:
        alarm = found(Facts(NOW_S, (RUNNING,), (SMU,), (Sensor("oven1", age_s, channels),))).get("sensor-oven1")
        return None if alarm is None else alarm.severity

    assert severity(30.0, ("a1",)) is None
    assert severity(30.1, ("a1",)) is Severity.ALARM
    assert severity(None, ("a2",)) is Severity.WARNING
    assert severity(float("nan"), ("a1",)) is Severity.ALARM


@pytest.mark.parametrize(
    ("facts", "name", "kind", "severity"),
    [
        (Facts(NOW_S, disk=Disk("data", 999_999_999)), "disk", "disk_full", Severity.ALARM),
        (Facts(NOW_S, disk=Disk("data", 4_999_999_999)), "disk", "disk_low", Severity.WARNING),
        (Facts(NOW_S, disk=Disk("data", None, "I/O error")), "disk", "disk_failing", Severity.ALARM),
        (Facts(NOW_S, broker=Broker(connected=False)), "broker", "broker_unreachable", Severity.WARNING),
        (Facts(NOW_S, broker=Broker(connected=True, dead_letters=2)), "dead-letters", "dead_letters", Severity.WARNING),
        (
            Facts(NOW_S, broker=Broker(connected=True, unreadable={"r1": "torn"})),
            "unreadable-runs", "unreadable_runs", Severity.ALARM,
        ),
        (
            Facts(NOW_S, certificates=(Certificate("http", "c", NOW_S + 13.9 * 86_400),)),
            "certificate-http", "certificate_expires", Severity.WARNING,
        ),
        (
            Facts(NOW_S, certificates=(Certificate("http", "c", NOW_S),)),
            "certificate-http", "certificate_expired", Severity.ALARM,
        ),
        (
            Facts(NOW_S, certificates=(Certificate("mqtt-ca", "c", None, "no such file"),)),
            "certificate-mqtt-ca", "certificate_unreadable", Severity.WARNING,
        ),
        (Facts(NOW_S, clock_step=ClockStep(-3600.0, NOW_S - 5)), "clock", "clock_stepped", Severity.WARNING),
        (Facts(NOW_S, share_trouble="away"), "share", "share", Severity.WARNING),
        (Facts(NOW_S, notify={"phone": "refused"}), "notify-phone", "notify", Severity.WARNING),
    ],
)  # fmt: skip
def test_what_surrounds_the_channels_is_told_too(facts: Facts, name: str, kind: str, severity: Severity) -> None:
    alarms = found(facts)
    assert list(alarms) == [name]
    assert (alarms[name].kind, alarms[name].severity) == (kind, severity)
    assert alarms[name].what
    assert alarms[name].action
    assert "\n" not in alarms[name].what
    assert re.fullmatch("[a-z0-9_-]+", name)


def test_a_step_of_the_clock_is_told_for_a_day() -> None:
    step = ClockStep(7200.0, NOW_S)
    assert found(Facts(NOW_S + 86_399, clock_step=step))
    assert not found(Facts(NOW_S + 86_401, clock_step=step))


def test_a_broker_that_is_away_for_a_moment_is_no_alarm_and_one_that_stays_away_began_when_it_did() -> None:
    known = Known()
    for after_s in (0, 30, 59):
        known = advance(known, derive(Facts(NOW_S + after_s, broker=Broker(connected=False))), NOW_S + after_s)
        assert not known.alarms
    known = advance(known, derive(Facts(NOW_S + 60, broker=Broker(connected=False))), NOW_S + 60)
    assert known.alarms["broker"].since_utc_s == NOW_S
    again = advance(known, (), NOW_S + 61)
    assert again.alarms["broker"].cleared_utc_s == NOW_S + 61
    assert advance(again, (), NOW_S + 61 + 86_401).alarms == {}


def test_an_emergency_is_told_at_the_first_look_even_where_the_clock_was_set_back() -> None:
    alarms = derive(Facts(NOW_S, (of(ChannelState.CANNOT_DEENERGISE, energised=None),), (SMU,)))
    assert advance(Known(), alarms, NOW_S - 1e6).alarms["channel-a1"].active
    lost = derive(Facts(NOW_S - 1e6, broker=Broker(connected=False)))
    assert advance(Known({"broker": NOW_S}), lost, NOW_S - 1e6).alarms["broker"].active


def test_what_was_acknowledged_is_so_until_something_else_happens_to_it() -> None:
    board = AlarmBoard(lambda: NOW_S)
    emergency = derive(Facts(NOW_S, (of(ChannelState.CANNOT_DEENERGISE, energised=None),), (SMU,)))
    faulted = derive(Facts(NOW_S, (of(ChannelState.FAULTED, energised=False),), (SMU,)))
    board.look(emergency)
    assert board.acknowledge("channel-a1", "anna").acknowledged_by == "anna"
    board.look(emergency)
    assert board.active()[0].acknowledged_by == "anna"
    board.look(faulted)
    assert board.active()[0].acknowledged_by is None
    board.look(())
    assert board.active() == ()
    assert [alarm.active for alarm in board.everything()] == [False]
    with pytest.raises(RefusedError, match="no alarm"):
        board.acknowledge("channel-a1", "anna")
