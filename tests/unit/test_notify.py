"""Which message goes out when, and what it says: decided by pure functions, driven in virtual time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cycler_ctl.alarms.board import AlarmBoard
from cycler_ctl.alarms.derive import derive
from cycler_ctl.alarms.facts import Broker, Facts
from cycler_ctl.config import load_config
from cycler_ctl.errors import ConfigError
from cycler_ctl.live import ChannelState, ChannelStatus, InstrumentStatus
from cycler_ctl.notify.lane import Lane, Sight
from cycler_ctl.notify.message import BODY_LETTERS, TITLE_LETTERS, Message, plain
from cycler_ctl.notify.news import is_quiet
from cycler_ctl.notify.notifier import Notifier
from cycler_ctl.notify.services import Answer, addresses_of, redacted
from cycler_ctl.settings import NotifyRule
from cycler_ctl.terminal.commands import check_file

START_UTC_S = 1_790_000_000.0
RUN = "20261122-101500-a1-abcd"
RUNNING = ChannelStatus(
    "a1", "smu1", ChannelState.RUNNING, "", START_UTC_S, energised=True, run=RUN, cell="MG-0142", protocol="Formation",
    doing="lithiate 0.3927 mA",
)  # fmt: skip
TRIPPED = replace(RUNNING, state=ChannelState.TRIPPED, energised=False, reason="136.2 °C is above 135 °C", doing=None)
STUCK = replace(RUNNING, state=ChannelState.CANNOT_DEENERGISE, energised=None, reason="smu1 is silent")
FINISHED = replace(RUNNING, state=ChannelState.FINISHED, energised=False, doing=None, cycle=3)


@dataclass
class StepClock:
    now_s: float = 0.0

    def now(self) -> float:
        return self.now_s

    def utc(self) -> float:
        return START_UTC_S + self.now_s


@dataclass
class Phone:
    """A service that takes messages, or does not."""

    clock: StepClock
    took: list[tuple[float, Message]] = field(default_factory=list)
    works: bool = True
    tries: list[float] = field(default_factory=list)

    def send(self, message: Message | None) -> tuple[Answer, ...]:
        if message is None:
            return ()
        self.tries.append(self.clock.now_s)
        if self.works:
            self.took.append((self.clock.now_s, message))
        return (Answer("phone://****", self.works, "" if self.works else "no network"),)

    def cancel(self) -> None:
        """Nothing is ever under way."""


class Scenery:
    """A station of which the test says what its channels are, a board, and one rule's lane, stepped by hand."""

    def __init__(self, **rule: Any) -> None:
        self.clock = StepClock()
        self.channels: tuple[ChannelStatus, ...] = (RUNNING,)
        self.board = AlarmBoard(self.clock.utc)
        self.broker: Broker | None = None
        self.phone = Phone(self.clock)
        sight = Sight("lab-3", self.board.everything, lambda: self.channels)
        settings = NotifyRule(to_env="PHONE", **rule)
        self.lane = Lane("phone", settings, sight, self.phone, self.clock)  # type: ignore[arg-type]

    def step(self, *channels: ChannelStatus, after_s: float = 1.0) -> list[Message]:
        """Time goes on, this is true now; the messages of this step."""
        self.clock.now_s += after_s
        self.channels = channels or self.channels
        links = {one.instrument for one in self.channels}
        instruments = tuple(InstrumentStatus(name, "", "", "connected", None, None, "", None) for name in links)
        self.board.look(derive(Facts(self.clock.utc(), self.channels, instruments, broker=self.broker)))
        before = len(self.phone.took)
        self.lane.step()
        return [message for _, message in self.phone.took[before:]]

    def during(self, seconds: float, every_s: float = 10.0) -> list[Message]:
        return [message for _ in range(int(seconds / every_s)) for message in self.step(after_s=every_s)]


def test_a_trip_is_told_once_with_channel_cell_what_happened_and_whether_current_may_flow_first() -> None:
    lab = Scenery()
    (told,) = lab.step(TRIPPED)
    assert told.title == "lab-3: a1, MG-0142: a safety limit ended the run; the output is off, read back"
    assert told.body.startswith("Look at the cell, then 'cycler-ctl acknowledge a1'.\n136.2 °C is above 135 °C\n")
    assert RUN in told.body
    assert told.tone == "failure"
    assert lab.during(7200) == []


def test_an_emergency_says_that_current_may_flow_and_what_to_do_and_is_repeated_until_somebody_has_seen_it() -> None:
    lab = Scenery(repeat_s=600.0)
    (told,) = lab.step(STUCK)
    assert told.title.endswith(
        "CANNOT BE SWITCHED OFF; current MAY FLOW, nobody can know (last told: lithiate 0.3927 mA)"
    )
    assert told.body.startswith("Disconnect the cell by hand now, or switch smu1 off at its panel.")
    again = lab.during(3600)
    assert len(again) == 6
    assert all(message.title.startswith("lab-3: STILL: a1, MG-0142: CANNOT BE SWITCHED OFF") for message in again)
    lab.board.acknowledge("channel-a1", "anna")
    assert lab.during(7200) == []


def test_who_was_told_of_an_emergency_is_told_what_came_of_it_and_that_it_is_over() -> None:
    lab = Scenery()
    lab.step(STUCK)
    faulted = replace(STUCK, state=ChannelState.FAULTED, energised=False, reason="off after 90 s", doing=None)
    (told,) = lab.step(faulted, after_s=61)
    assert told.title == "lab-3: a1, MG-0142: a fault ended the run; the output is off, read back"
    idle = ChannelStatus("a1", "smu1", ChannelState.IDLE, "acknowledged by anna", START_UTC_S, energised=False)
    (over,) = lab.step(idle, after_s=61)
    assert over.title == "lab-3: a1, MG-0142: over: faulted; idle, the output is off, read back"
    assert over.body == "acknowledged by anna"
    assert over.tone == "success"


def test_nothing_is_told_over_that_was_never_told() -> None:
    lab = Scenery(on=("emergency",))
    assert lab.step(TRIPPED) == []
    assert lab.step(RUNNING) == []


def test_a_finished_run_is_told_once() -> None:
    lab = Scenery()
    lab.lane.run_ended(FINISHED)
    (told,) = lab.step(FINISHED)
    assert told.title == "lab-3: a1, MG-0142: finished; the output is off, read back"
    assert f"Formation, cycle 3, {RUN}" in told.body
    assert lab.during(600) == []


@pytest.mark.parametrize(
    ("rule", "tells"),
    [
        ({}, True), ({"channels": ("a1",)}, True), ({"channels": ("a2",)}, False), ({"on": ("finished",)}, True),
        ({"on": ("emergency",)}, False),
    ],
)  # fmt: skip
def test_a_rule_tells_of_its_channels_and_its_events_only(rule: dict[str, Any], tells: bool) -> None:
    lab = Scenery(**rule)
    lab.lane.run_ended(FINISHED)
    assert bool(lab.step(FINISHED)) is tells


def test_at_most_so_many_messages_go_out_in_an_hour_and_the_rest_comes_in_one() -> None:
    lab = Scenery(at_most=3)
    names = [f"b{number}" for number in range(40)]
    for name in names:
        lab.lane.run_ended(replace(FINISHED, channel=name))
        lab.step(after_s=10)
    assert len(lab.phone.took) == 3
    (digest,) = lab.during(3600)
    assert digest.title.endswith("(+36 more)")
    assert "and 25 more" in digest.body
    for begin_s in range(0, 7200, 60):
        assert sum(begin_s <= at_s < begin_s + 3600 for at_s, _ in lab.phone.took) <= 3


def test_an_emergency_goes_out_where_the_hour_has_had_all_its_messages_and_in_quiet_hours() -> None:
    lab = Scenery(at_most=1, quiet=(0, 1439))
    assert lab.step(TRIPPED) == []
    (told,) = lab.step(STUCK)
    assert "CANNOT BE SWITCHED OFF" in told.title


def test_an_emergency_that_comes_and_goes_sends_one_message_a_minute_at_most() -> None:
    lab = Scenery()
    for _ in range(600):
        lab.step(STUCK)
        lab.step(RUNNING)
    assert 15 <= len(lab.phone.took) <= 21


def test_several_emergencies_at_once_are_one_message_that_names_them() -> None:
    lab = Scenery()
    stuck = [replace(STUCK, channel=f"a{number}", instrument="smu1") for number in range(1, 5)]
    (told,) = lab.step(*stuck)
    assert told.title.startswith("lab-3: a1, MG-0142: CANNOT BE SWITCHED OFF; current MAY FLOW")
    assert told.title.endswith("(+3 more)")
    assert all(f"- a{number}, MG-0142: CANNOT BE" in told.body for number in range(1, 5))
    assert "Disconnect the cell by hand now" in told.body


def test_what_came_in_quiet_hours_is_told_after_them_together() -> None:
    assert [is_quiet((22 * 60, 7 * 60), minute) for minute in (21 * 60 + 59, 22 * 60, 0, 6 * 60 + 59, 7 * 60)] == [
        False, True, True, True, False,
    ]  # fmt: skip
    assert [is_quiet((60, 120), minute) for minute in (59, 60, 119, 120)] == [False, True, True, False]
    lab = Scenery()
    lab.lane._rule = lab.lane._rule.model_copy(update={"quiet": (0, 1439)})
    lab.lane.run_ended(FINISHED)
    assert lab.step(TRIPPED) == []
    lab.lane._rule = lab.lane._rule.model_copy(update={"quiet": None})
    (told,) = lab.step()
    assert told.title.endswith("(+1 more)")


def test_what_no_service_takes_stays_due_and_is_tried_ever_more_seldom_and_its_failure_is_told() -> None:
    lab = Scenery()
    lab.phone.works = False
    lab.step(TRIPPED)
    lab.during(6 * 3600)
    status = lab.lane.status()
    assert status.trouble == "phone://**** no network"
    assert status.trouble_since_utc_s == START_UTC_S + 1
    assert status.waiting == 1
    assert 36 <= len(lab.phone.tries) <= 400
    lab.phone.works = True
    (told,) = lab.during(700)
    assert "a safety limit ended the run" in told.title
    assert lab.lane.status().trouble is None


def test_an_emergency_is_tried_again_within_a_minute_however_long_the_service_was_away() -> None:
    lab = Scenery()
    lab.phone.works = False
    lab.step(TRIPPED)
    lab.during(4 * 3600)
    begun = len(lab.phone.tries)
    lab.step(STUCK)
    lab.during(1800)
    tries = lab.phone.tries[begun:]
    assert max(after - before for before, after in pairwise(tries)) <= 70


def test_a_broker_that_is_away_is_told_only_where_warnings_are_wanted() -> None:
    for on, expected in ((("warning",), 1), (("emergency", "alarm"), 0)):
        lab = Scenery(on=on)
        lab.broker = Broker(connected=False, message="refused")
        assert len(lab.during(600)) == expected


HOSTILE = [
    "two\nlines\r\nand\x00more\x1b[31m", "x" * 100_000, "[click](https://evil.example/x)", "@everyone <!channel> `rm`",
    "\u202egnirts desrever", "<script>alert(1)</script>", "# head *bold* ~~gone~~ | cell", "half \ud800 a letter",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_words_of_a_file_or_an_instrument_never_become_a_line_a_link_a_mention_or_mark_up(text: str) -> None:
    shown = plain(text)
    assert len(shown) <= 300
    assert shown.isprintable()
    assert not any(mark in shown for mark in ("://", "](", "@e", "<", ">", "`", "|", "*", "#", "~", "\u202e"))
    assert plain(shown) == shown
    lab = Scenery()
    (told,) = lab.step(replace(TRIPPED, cell=text, reason=text, protocol=text))
    assert len(told.title) <= TITLE_LETTERS
    assert len(told.body) <= BODY_LETTERS
    assert told.title.startswith("lab-3: a1, ")
    assert told.title.isprintable()
    (told.title + told.body).encode()
    lab.lane.run_ended(replace(FINISHED, cell=text, reason=text, protocol=text))
    lab.during(60)


def test_a_hostile_name_cannot_push_what_happened_out_of_the_message() -> None:
    lab = Scenery()
    (told,) = lab.step(replace(STUCK, cell="x" * 5000))
    assert "CANNOT BE SWITCHED OFF" in told.title
    assert "MAY FLOW" in told.title


def test_an_end_is_noted_once_and_a_state_that_was_there_at_the_start_is_no_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PHONE", "json://localhost")
    lab = Scenery()
    sight = Sight("lab-3", lab.board.everything, lambda: ())
    notifier = Notifier({"phone": NotifyRule(to_env="PHONE")}, sight, lab.clock, lambda _: lab.phone)  # type: ignore[arg-type]
    told: list[ChannelStatus] = []
    monkeypatch.setattr(Lane, "run_ended", lambda _, status: told.append(status))
    for status in (FINISHED, FINISHED, RUNNING, RUNNING, FINISHED, FINISHED, RUNNING, TRIPPED):
        notifier.channel_changed(status)
    assert told == [FINISHED]


def test_an_address_file_that_others_may_read_or_that_says_nothing_is_refused_without_its_words(tmp_path: Path) -> None:
    file = tmp_path / "phone"
    file.write_text("# mine\n\njson://user:sesame@localhost\n", encoding="utf-8")
    file.chmod(0o600)
    assert addresses_of(file, None) == ("json://user:sesame@localhost",)
    for content, mode in (
        (b"json://user:sesame@localhost", 0o644),
        (b"# nobody\n", 0o600),
        (b"\xff\xfe sesame", 0o600),
    ):
        file.write_bytes(content)
        file.chmod(mode)
        with pytest.raises(ConfigError) as refused:
            addresses_of(file, None)
        assert "sesame" not in str(refused.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        addresses_of(tmp_path / "nowhere", None)
    with pytest.raises(ConfigError, match="NOT_SET_HERE"):
        addresses_of(None, "NOT_SET_HERE")


def test_what_a_service_says_holds_nothing_secret_of_its_address() -> None:
    address = "tgram://123456789:AbCdEfGhIjK/4711%20x/?key=hunter2"
    said = redacted("POST /bot123456789:AbCdEfGhIjK/sendMessage hunter2 4711 x failed", address, "tgram://****/****")
    assert said == "POST /bot****:****/sendMessage **** **** failed"


def test_without_the_library_the_message_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cycler_ctl.notify.sending.find_spec", lambda _: None)
    lab = Scenery()
    sight = Sight("lab-3", lab.board.everything, lambda: ())
    with pytest.raises(ConfigError, match=r"pip install 'cycler-ctl\[notify\]'"):
        Notifier({"phone": NotifyRule(to_env="PHONE")}, sight, lab.clock)  # type: ignore[arg-type]
    Notifier({}, sight, lab.clock)  # type: ignore[arg-type]


def test_check_names_what_to_install_and_the_service_reads_the_file_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cycler_ctl.notify.sending.find_spec", lambda _: None)
    file = tmp_path / "station.toml"
    file.write_text(
        '[station]\nname = "lab-3"\n[notify.phone]\nto_file = "phone"\n[instruments.smu1]\ndriver = "keithley-2400"\n'
        'address = "serial:///dev/ttyUSB0?baudrate=9600"\n[channels.a1]\ninstrument = "smu1"\n'
        'limits = { voltage = "-0.5 V to 5 V", current = "10 mA" }\n',
        encoding="utf-8",
    )
    (found,) = check_file(file)
    assert (found.line, found.code, "pip install 'cycler-ctl[notify]'" in str(found.help)) == (
        3,
        "missing-library",
        True,
    )
    assert load_config(file).notify["phone"].to_file == tmp_path / "phone"
    monkeypatch.undo()
    assert check_file(file) == ()
