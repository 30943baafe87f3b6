"""Which signed commands are carried out: a pure function of the request and of what is known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cycler_ctl.commanding.decide import Armed, Known, refusal, still_armed
from cycler_ctl.commanding.freshness import Nonces, Tempo, Timekeeping, Trickle
from cycler_ctl.commanding.request import Action, Request, Role, Why
from cycler_ctl.live import ChannelState, ChannelStatus, state_version

NOW_S = 1_795_000_000.0
IDLE = ChannelStatus("a1", "smu1", ChannelState.IDLE, "", NOW_S - 99, energised=False)
RUNNING = replace(IDLE, state=ChannelState.RUNNING, run="r1", step="2", cycle=1, energised=True)
ARMED = Armed("0" * 64, "Trial", "MG-0142", "somebody", NOW_S - 60, NOW_S + 3600, None)
KNOWN = Known(NOW_S, "", frozenset({"n" * 22}), repeated=False, often="", status=RUNNING, armed=None)
STOP = Request(
    cmd_id="c",
    nonce="n" * 22,
    issued_utc_s=NOW_S - 1,
    expires_utc_s=NOW_S + 29,
    channel="a1",
    expected_state_version=state_version(RUNNING),
    action=Action.STOP,
    actor="me",
    role=Role.OPERATE,
    client="t",
    order=None,
)
PAUSE = replace(STOP, action=Action.PAUSE)
SKIP = replace(STOP, action=Action.SKIP)
FREE = replace(KNOWN, status=IDLE, armed=ARMED)
START = replace(STOP, action=Action.START, role=Role.START, order="0" * 64, expected_state_version=state_version(IDLE))


def why(request: Request, known: Known) -> Why | None:
    found = refusal(request, known)
    return None if found is None else found.why


def test_fresh_commands_are_carried_out() -> None:
    assert [why(each, KNOWN) for each in (STOP, PAUSE, SKIP)] == [None] * 3
    assert why(START, FREE) is None


@pytest.mark.parametrize("request_", [STOP, PAUSE, SKIP])
def test_what_came_before_expired_or_quotes_another_nonce_is_refused_stop_too(request_: Request) -> None:
    assert why(request_, replace(KNOWN, repeated=True)) is Why.REPEATED
    assert why(request_, replace(KNOWN, utc_s=NOW_S + 29)) is Why.EXPIRED
    assert why(request_, replace(KNOWN, utc_s=NOW_S - 7)) is Why.EARLY
    assert why(request_, replace(KNOWN, utc_s=NOW_S - 5)) is None
    assert why(replace(request_, nonce="m" * 22), KNOWN) is Why.NONCE
    assert why(request_, replace(KNOWN, often="too often")) is Why.OFTEN
    assert why(replace(request_, expires_utc_s=NOW_S + 29.1), KNOWN) is Why.EXPIRED
    assert why(replace(request_, expires_utc_s=NOW_S - 1), KNOWN) is Why.EXPIRED


def test_with_a_clock_that_is_not_to_be_relied_on_only_stop_is_taken_and_its_time_is_its_nonce() -> None:
    known = replace(KNOWN, clock="the clock is not synchronised")
    for other_s in (0.0, -3600.0, 3600.0):
        assert why(STOP, replace(known, utc_s=NOW_S + other_s)) is None
    assert why(PAUSE, known) is Why.CLOCK
    assert why(SKIP, known) is Why.CLOCK
    assert why(START, replace(FREE, clock="the clock was set")) is Why.CLOCK
    assert why(replace(STOP, nonce="m" * 22), known) is Why.NONCE


@pytest.mark.parametrize(
    "change", [{"state": ChannelState.PAUSED}, {"step": "3"}, {"cycle": 2}, {"run": "r2"}, {"since_utc_s": NOW_S}]
)
def test_all_but_stop_are_refused_where_the_channel_is_not_as_it_was_seen(change: dict[str, object]) -> None:
    known = replace(KNOWN, status=replace(RUNNING, **change))  # type: ignore[arg-type]
    assert why(PAUSE, known) is Why.CHANGED
    assert why(SKIP, known) is Why.CHANGED
    assert why(STOP, known) is None


def test_only_the_role_start_may_start() -> None:
    assert why(replace(START, role=Role.OPERATE), FREE) is Why.ROLE
    assert why(replace(STOP, role=Role.START), KNOWN) is None


def test_a_start_needs_a_channel_that_was_armed_with_this_very_order() -> None:
    assert why(START, replace(FREE, armed=None)) is Why.NOT_ARMED
    assert why(START, replace(FREE, armed=replace(ARMED, order="1" * 64))) is Why.NOT_ARMED
    assert why(START, replace(FREE, armed=replace(ARMED, until_utc_s=NOW_S))) is Why.NOT_ARMED
    assert why(START, replace(FREE, armed=replace(ARMED, armed_utc_s=NOW_S + 1))) is Why.NOT_ARMED
    assert why(START, replace(FREE, armed=replace(ARMED, after_run="r0"))) is Why.NOT_ARMED


@pytest.mark.parametrize("state", list(ChannelState))
def test_an_order_is_armed_only_while_a_run_may_begin(state: ChannelState) -> None:
    free = {ChannelState.IDLE, ChannelState.FINISHED, ChannelState.STOPPED, ChannelState.ABORTED}
    assert still_armed(ARMED, replace(IDLE, state=state), NOW_S) is (state in free)


@given(
    st.sampled_from(Action),
    st.sampled_from(Role),
    st.floats(allow_nan=True, allow_infinity=True),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.sampled_from(["", "set"]),
)
@example(Action.PAUSE, Role.OPERATE, math.nan, (False, True, False), "")
def test_nothing_is_carried_out_that_is_repeated_or_quotes_no_nonce_and_only_stop_without_a_clock(
    action: Action, role: Role, utc_s: float, facts: tuple[bool, bool, bool], clock: str
) -> None:
    repeated, quotes, armed = facts
    order = "0" * 64 if action is Action.START else None
    version = state_version(IDLE)
    nonce = "n" * 22 if quotes else "m" * 22
    request = replace(STOP, action=action, role=role, order=order, expected_state_version=version, nonce=nonce)
    known = replace(FREE, utc_s=utc_s, repeated=repeated, clock=clock, armed=ARMED if armed else None)
    if refusal(request, known) is None:
        assert quotes
        assert not repeated
        assert not clock or action is Action.STOP
        assert action is not Action.START or (armed and role is Role.START)
        assert clock or NOW_S - 6 <= utc_s < NOW_S + 29


def test_a_nonce_lives_a_minute_and_a_little_and_not_beyond_a_command() -> None:
    nonces = Nonces(100.0)
    first = nonces.current
    assert nonces.valid(159.9) == {first}
    assert first in nonces.valid(160.0)
    second = nonces.current
    assert second != first
    assert nonces.valid(169.9) == {first, second}
    assert nonces.valid(170.1) == {second}
    nonces.renew(171.0)
    assert second not in nonces.valid(171.0)
    assert first not in nonces.valid(171.0)


def test_five_commands_a_minute_and_a_stop_a_second_beside_them() -> None:
    tempo = Tempo()
    for at_s in range(5):
        assert not tempo.too_often(at_s, stop=False)
        tempo.count(at_s, stop=False)
    assert tempo.too_often(59.9, stop=False)
    assert not tempo.too_often(4.0, stop=True)
    tempo.count(4.0, stop=True)
    assert tempo.too_often(4.9, stop=True)
    assert not tempo.too_often(5.0, stop=True)
    assert not tempo.too_often(60.0, stop=False)


def test_a_trickle_lets_a_burst_through_and_counts_what_it_holds() -> None:
    trickle = Trickle(1.0, 3)
    assert [trickle.take(0.0) for _ in range(5)] == [True, True, True, False, False]
    assert trickle.held == 2
    assert trickle.take(1.0)
    assert not trickle.take(1.0)
    assert [trickle.take(100.0) for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(("step_s", "trusted"), [(4.9, True), (5.1, False), (-5.1, False), (86400.0, False)])
def test_a_step_of_more_than_5_s_is_seen_and_forgotten_after_ten_quiet_minutes(step_s: float, trusted: bool) -> None:
    time = Timekeeping()
    time.look(0.0, NOW_S, synchronised=True)
    time.look(1.0, NOW_S + 1.0 + step_s, synchronised=True)
    assert (time.trouble(1.0) == "") is trusted
    for at_s in range(2, 700):
        time.look(at_s, NOW_S + at_s + step_s, synchronised=True)
    assert time.trouble(600.0) == "" or not trusted
    assert time.trouble(699.0) == ""


def test_many_small_steps_within_a_minute_are_one_step_and_slewing_is_none() -> None:
    time = Timekeeping()
    for at_s in range(10):
        time.look(at_s, NOW_S + 2.0 * at_s, synchronised=True)
    assert time.trouble(9.0)
    slewed = Timekeeping()
    for at_s in range(0, 100_000, 10):
        slewed.look(at_s, NOW_S + at_s * 1.0005, synchronised=True)
        assert not slewed.trouble(at_s)


def test_a_clock_that_nobody_synchronises_is_not_relied_on() -> None:
    time = Timekeeping()
    time.look(0.0, NOW_S, synchronised=False)
    assert time.trouble(0.0)
    time.look(1.0, float("nan"), synchronised=True)
    assert time.trouble(1.0)
