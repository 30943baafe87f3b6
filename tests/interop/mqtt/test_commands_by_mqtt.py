"""Commands through real brokers to a station that writes down what it is told to do."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import sqlite3
import string
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import secured_brokers
from commanded import SECRETS, Operator, iso, sign
from evil_broker import NONSENSE, Evil
from secured_brokers import Certificates

from cycler_ctl.broker import Broker
from cycler_ctl.clock import SystemClock, real_sleep
from cycler_ctl.commanding import commander as commanding
from cycler_ctl.commanding import desk
from cycler_ctl.commanding.commander import Commander, Surroundings
from cycler_ctl.commanding.decide import Known, Refusal, refusal
from cycler_ctl.commanding.ledger import FILE, Entry, entries
from cycler_ctl.commanding.models import NonceMessage, ReplyMessage
from cycler_ctl.commanding.request import LONGEST, Refused, Request, Why, authentic
from cycler_ctl.config import ChannelSettings, Config, InstrumentSettings, Limits, MqttSettings, StationSettings
from cycler_ctl.errors import ConfigError, InstrumentError, RefusedError
from cycler_ctl.live import ChannelState, ChannelStatus, InstrumentStatus
from cycler_ctl.publish.backoff import Timing
from cycler_ctl.running.start import Order
from protocols.record import Row

LIMITS = Limits(voltage_V=(-0.5, 5.0), current_A=10e-3)
UTC_S = 1_790_000_000.0
MIB = 1024 * 1024


@dataclass
class Station:
    """Of two channels; ``done`` is everything it was told to do."""

    done: list[tuple[str, str, str]] = field(default_factory=list)
    error: Exception | None = None
    busy: dict[str, ChannelStatus] = field(default_factory=dict)

    def channels(self) -> tuple[ChannelStatus, ...]:
        idle = (ChannelStatus(name, "smu1", ChannelState.IDLE, "", UTC_S, energised=False) for name in ("a1", "a2"))
        return tuple(self.busy.get(each.channel, each) for each in idle)

    def instruments(self) -> tuple[InstrumentStatus, ...]:
        return ()

    def latest(self, channel: str) -> tuple[str, Row] | None:
        return None

    async def begin(self, channel: str, order: Order) -> str:
        await self._do("start", channel, order.by)
        return "run-1"

    async def stop(self, channel: str, by: str) -> None:
        await self._do("stop", channel, by)

    async def pause(self, channel: str, by: str) -> None:
        await self._do("pause", channel, by)

    async def skip(self, channel: str, by: str) -> None:
        await self._do("skip", channel, by)

    async def _do(self, what: str, channel: str, by: str) -> None:
        self.done.append((what, channel, by))
        if self.error is not None:
            raise self.error


@dataclass
class Clock:
    """The real one, set forwards by ``ahead_s``; ``passed_s`` went by."""

    ahead_s: float = 0.0
    passed_s: float = 0.0
    real: SystemClock = field(default_factory=SystemClock)

    def now(self) -> float:
        return self.real.now() + self.passed_s

    def utc(self) -> float:
        return self.real.utc() + self.ahead_s + self.passed_s

    sleep_until = SystemClock.sleep_until
    member = SystemClock.member


@dataclass
class Post:
    """A commander at a broker, and what belongs to it."""

    port: int
    config: Config
    station: Station
    clock: Clock
    stack: ExitStack
    commander: Commander
    synchronised: bool = True

    def operator(self, name: str = "tablet-1") -> Operator:
        made = Operator(self.port, name)
        self.stack.callback(made.close)
        return made

    async def send(self, operator: Operator, channel: str = "a1", **changed: Any) -> dict[str, Any]:
        """One well-made command with these changes, and its reply; where the nonce is too old, once more."""
        reply = await self._send(operator, channel, **changed)
        return (
            reply if reply["why"] != "nonce" or "nonce" in changed else await self._send(operator, channel, **changed)
        )

    async def _send(self, operator: Operator, channel: str, **changed: Any) -> dict[str, Any]:
        await until(lambda: channel in operator.nonces)
        request = operator.request(self.clock.utc(), channel, **changed)
        operator.publish(sign(request), channel)
        await until(lambda: operator.reply_to(request) is not None)
        reply = operator.reply_to(request)
        assert reply is not None
        return ReplyMessage.model_validate(reply).model_dump(mode="json")

    def audit(self) -> list[Entry]:
        return entries(self.config.station.data_dir / FILE)

    async def again(self) -> None:
        """The station is started anew."""
        await asyncio.to_thread(self.commander.stop)
        self.commander = commander_of(self)
        self.commander.start()
        await until(lambda: self.commander.message == "")


async def until(holds: Callable[[], object], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await real_sleep(0.005)


async def a_minute_passes(clock: Clock) -> None:
    """In parts: the other thread asks for both times one after the other, and must not see a step in between."""
    for _ in range(16):
        clock.passed_s += 4.0
        await real_sleep(0.001)


def commander_of(post: Post) -> Commander:
    timing = Timing(first_s=0.02, most_s=0.1, connack_s=2.0)
    around = Surroundings(post.clock, lambda: post.synchronised, timing)
    return Commander(post.config, post.station, post.station, None, around)


def config_of(folder: Path, port: int, **mqtt: Any) -> Config:
    folder.mkdir(exist_ok=True)
    files = {}
    for role, secret in SECRETS.items():
        path = folder / role
        path.write_text(secret + "\n")
        path.chmod(0o600)
        files[f"{role}_secret_file"] = path
    channel = ChannelSettings(instrument="smu1", limits=LIMITS)
    known: dict[str, Any] = {"url": (f"mqtt://127.0.0.1:{port}",), **files, **mqtt}
    return Config(
        station=StationSettings(name="lab-3", site="kasuga", data_dir=folder / "data"),
        mqtt=MqttSettings(commands=True, **known),
        instruments={"smu1": InstrumentSettings(driver="keithley-2400", address="x")},
        channels={"a1": channel, "a2": channel},
    )


async def opened(folder: Path, port: int, stack: ExitStack) -> Post:
    post = Post(port, config_of(folder, port), Station(), Clock(), stack, commander=None)  # type: ignore[arg-type]
    post.commander = commander_of(post)
    post.commander.start()
    await until(lambda: post.commander.message == "")
    return post


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture
async def post(tmp_path: Path, mosquitto: Any, stack: ExitStack) -> AsyncIterator[Post]:
    made = await opened(tmp_path / "lab", mosquitto.port, stack)
    yield made
    await asyncio.to_thread(made.commander.stop)


@pytest.fixture
async def at_bundled(tmp_path: Path, bundled: Broker, stack: ExitStack) -> AsyncIterator[Post]:
    made = await opened(tmp_path / "lab", int(bundled.url.rpartition(":")[2]), stack)
    yield made
    await asyncio.to_thread(made.commander.stop)


async def test_a_signed_command_is_done_once_answered_and_written_down(post: Post) -> None:
    operator = post.operator()
    reply = await post.send(operator, action="pause")
    assert reply["outcome"] == "done", reply
    assert post.station.done == [("pause", "a1", "A. Researcher (mqtt tablet-1, role operate)")]
    (entry,) = post.audit()
    assert (entry.action, entry.actor, entry.outcome) == ("pause", "A. Researcher", "done")
    assert all(NonceMessage.model_validate(told) for topic, told in operator.told if topic.endswith("/nonce"))


async def test_the_bundled_broker_carries_commands_too(at_bundled: Post) -> None:
    operator = at_bundled.operator()
    assert (await at_bundled.send(operator, action="skip"))["outcome"] == "done"
    assert (await at_bundled.send(operator))["outcome"] == "done"
    assert [what for what, *_ in at_bundled.station.done] == ["skip", "stop"]


async def test_what_the_station_refuses_or_the_instrument_did_not_do_is_answered_as_it_is(post: Post) -> None:
    operator = post.operator()
    post.station.error = RefusedError("channel a1 is idle: there is nothing to pause")
    reply = await post.send(operator, action="pause")
    assert (reply["outcome"], reply["why"]) == ("refused", "station")
    post.station.error = InstrumentError("off is not confirmed yet")
    reply = await post.send(operator)
    assert (reply["outcome"], reply["reason"]) == ("failed", "off is not confirmed yet")
    post.station.error = ValueError("a mistake of ours")
    await real_sleep(1.0)
    assert (await post.send(operator))["outcome"] == "failed"


async def test_a_command_that_comes_twice_is_done_once(post: Post) -> None:
    operator = post.operator()
    await until(lambda: "a1" in operator.nonces)
    payload = sign(operator.request(post.clock.utc(), action="pause"))
    for _ in range(3):
        operator.publish(payload)
    await until(lambda: len(operator.replies) == 3)
    assert [reply["why"] for reply in operator.replies if reply["outcome"] == "refused"] == ["repeated"] * 2
    assert len(post.station.done) == 1


async def test_a_station_that_was_started_again_does_nothing_of_before(post: Post) -> None:
    operator = post.operator()
    await until(lambda: "a1" in operator.nonces)
    done, not_sent = (operator.request(post.clock.utc(), action="pause") for _ in range(2))
    operator.publish(sign(done))
    await until(lambda: operator.reply_to(done))
    await post.again()
    operator.publish(sign(done))
    operator.publish(sign(not_sent))
    await until(lambda: len(operator.replies) == 3)
    assert [reply["why"] for reply in operator.replies[1:]] == ["repeated", "nonce"]
    assert len(post.station.done) == 1


async def test_a_retained_command_is_never_done_not_even_by_the_next_station(post: Post, at_bundled: Post) -> None:
    for each in (post, at_bundled):
        await asyncio.to_thread(each.commander.stop)
        operator = each.operator()
        await until(lambda operator=operator: "a1" in operator.nonces)  # type: ignore[misc]
        operator.publish(sign(operator.request(each.clock.utc())), retain=True)
        await real_sleep(0.2)
        await each.again()
        await post.send(operator, action="pause") if each is post else await at_bundled.send(operator, action="pause")
        assert [what for what, *_ in each.station.done] == ["pause"]


async def test_a_sixth_command_within_a_minute_is_refused_but_a_stop_is_done(post: Post) -> None:
    operator = post.operator()
    outcomes = [(await post.send(operator, action="pause"))["outcome"] for _ in range(6)]
    assert outcomes == ["done"] * 5 + ["refused"]
    assert (await post.send(operator))["outcome"] == "done"
    assert (await post.send(operator))["why"] == "often"
    assert (await post.send(operator, "a2", action="pause"))["outcome"] == "done"


async def test_after_the_clock_was_set_only_stop_is_done(post: Post) -> None:
    operator = post.operator()
    assert (await post.send(operator, action="pause"))["outcome"] == "done"
    post.clock.ahead_s = 3600.0
    reply = await post.send(operator, action="pause")
    assert (reply["why"], reply["outcome"]) == ("clock", "refused")
    await until(lambda: "clock was set" in operator.nonces["a1"]["only_stop"])
    assert (await post.send(operator))["outcome"] == "done"


async def test_a_nonce_is_replaced_each_minute_and_told(post: Post) -> None:
    operator = post.operator()
    await until(lambda: set(operator.nonces) == {"a1", "a2"})
    first = operator.nonces["a2"]["nonce"]
    await a_minute_passes(post.clock)
    await until(lambda: operator.nonces["a2"]["nonce"] != first)
    for _ in range(4):
        post.clock.passed_s += 4.0
        await real_sleep(0.001)
    assert (await post.send(operator, "a2", nonce=first))["why"] == "nonce"


async def test_without_a_disk_only_a_stop_is_done(post: Post) -> None:
    operator = post.operator()
    database = sqlite3.connect(post.config.station.data_dir / FILE, isolation_level=None)
    database.execute("DROP TABLE taken")
    database.close()
    assert (await post.send(operator, action="pause"))["why"] == "store"
    assert (await post.send(operator))["outcome"] == "done"
    assert [what for what, *_ in post.station.done] == ["stop"]


OTHER_TYPES: tuple[object, ...] = (None, 7, 7.5, True, False, [], {}, ["a"], {"a": 1}, "", "x\n", "x" * 2000)


def ill_typed(request: dict[str, Any], chance: random.Random) -> bytes:
    """One field is of another kind, or missing, or too many; what there is is signed."""
    name, value = chance.choice([*request]), chance.choice(OTHER_TYPES)
    less = {each: request[each] for each in request if each != name}
    return sign(chance.choice([{**request, name: value}, less, {**request, "limits": value}]))


Made = Callable[[dict[str, Any], random.Random], bytes]
KINDS: dict[str, tuple[Why, Made]] = {
    "expired": (
        Why.EXPIRED,
        lambda request, chance: sign({**request, **times(request, -chance.uniform(31, 4000))}),
    ),
    "early": (Why.EARLY, lambda request, chance: sign({**request, **times(request, chance.uniform(600, 4000))})),
    "long-lived": (Why.EXPIRED, lambda request, _: sign({**request, "expires": "2099-01-01T00:00:00.000Z"})),
    "unsigned": (Why.MALFORMED, lambda request, _: json.dumps(request).encode()),
    "wrongly signed": (
        Why.UNSIGNED,
        lambda request, chance: sign(request, secret=chance.choice(["", "operate", SECRETS["start"]])),
    ),
    "other station": (
        Why.UNSIGNED,
        lambda request, chance: sign(request, station=chance.choice(["kasuga/lab-4", "x/lab-3", ""])),
    ),
    "other channel": (Why.CHANNEL, lambda request, _: sign({**request, "channel": "a2"})),
    "old nonce": (
        Why.NONCE,
        lambda request, chance: sign({**request, "nonce": "".join(chance.choices(string.ascii_letters, k=22))}),
    ),
    "changed": (Why.UNSIGNED, lambda request, chance: flipped(sign(request), chance)),
    "malformed": (Why.MALFORMED, lambda request, chance: chance.choice(MALFORMED)(sign(request), chance)),
    "oversized": (
        Why.TOO_LONG,
        lambda request, chance: (sign(request) + b" " * LONGEST)[: LONGEST + chance.randint(1, 800)],
    ),
    "ill-typed": (Why.MALFORMED, ill_typed),
    "retained": (Why.RETAINED, lambda request, _: sign(request)),
}
DOUBLED = "doubled"  # one that was done, again
WHY = {DOUBLED: Why.REPEATED, **{kind: why for kind, (why, _) in KINDS.items()}}
MALFORMED: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    lambda whole, chance: whole[: chance.randrange(1, len(whole))],
    lambda whole, chance: chance.randbytes(chance.randrange(1, 2000)) + whole[:9],
    lambda whole, chance: b"[" * chance.randrange(1, LONGEST),
    lambda whole, chance: whole[:-1] + b', "signature": "%032x"}' % chance.getrandbits(128),
    lambda whole, chance: whole.replace(b'"v": 1', b'"v": ' + chance.choice((b"NaN", b"Infinity", b"1e999"))),
    lambda whole, chance: whole + whole[chance.randrange(1, len(whole) - 1) :],
)


def times(request: dict[str, Any], moved_s: float) -> dict[str, str]:
    issued_s = datetime.fromisoformat(request["issued_at"]).timestamp() + moved_s
    return {"issued_at": iso(issued_s), "expires": iso(issued_s + 30)}


def flipped(payload: bytes, chance: random.Random) -> bytes:
    """One bit of it; JSON's blanks aside there is none that does not matter, and those are not touched."""
    altered, places = bytearray(payload), [at for at, letter in enumerate(payload) if letter not in b" "]
    altered[chance.choice(places)] ^= 1 << chance.randrange(7)
    return bytes(altered)


@dataclass
class Judged:
    """What the desk made of each sort, by the payloads as it heard them."""

    sorts: dict[bytes, str] = field(default_factory=dict)
    came: Counter[tuple[str, str]] = field(default_factory=Counter)
    _hearing: str = ""

    def authentic(self, payload: bytes, *around: Any, retained: bool) -> Request | Refused:
        found = authentic(payload, *around, retained=retained)
        self._hearing = self.sorts.get(payload, "")
        if isinstance(found, Refused):
            self.came[self._hearing, found.why] += 1
        return found

    def refusal(self, request: Request, known: Known) -> Refusal | None:
        found = refusal(request, known)
        self.came[self._hearing, "done" if found is None else found.why] += 1
        return found

    def hits(self) -> dict[str, int]:
        """How many of each sort were refused for what is wrong with them."""
        flipped = self.came["changed", Why.MALFORMED]  # one bit may also make it no request at all
        return {kind: self.came[kind, why] + (flipped if kind == "changed" else 0) for kind, why in WHY.items()}


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Judged:
    made = Judged()
    monkeypatch.setattr(desk, "authentic", made.authentic)
    monkeypatch.setattr(desk, "refusal", made.refusal)
    return made


async def hostile(post: Post, judged: Judged, trials: int) -> int:
    """So many hostile commands, each heard, with good ones in between, of which the number is returned."""
    operator, chance = post.operator(), random.Random(7)
    await until(lambda: "a1" in operator.nonces)
    good: list[bytes] = []
    for trial in range(trials):
        if trial % 90 == 0:
            await until(lambda trial=trial: judged.came.total() >= trial + len(good))  # type: ignore[misc]
            good.append(await good_one(post, operator))
        kind = chance.choice([*WHY])
        request = operator.request(post.clock.utc(), action=chance.choice(["stop", "pause", "skip"]))
        payload = chance.choice(good) if kind == DOUBLED else KINDS[kind][1](request, chance)
        judged.sorts[payload] = kind
        retain = kind == "retained" or (kind != DOUBLED and chance.random() < 0.1)
        operator.publish(payload, qos=chance.choice([0, 1]), retain=retain)
    await until(lambda: judged.came.total() >= trials + len(good))
    return len(good)


async def good_one(post: Post, operator: Operator) -> bytes:
    before = operator.nonces["a1"]["nonce"]
    await a_minute_passes(post.clock)
    await until(lambda: operator.nonces["a1"]["nonce"] != before)
    good = operator.request(post.clock.utc(), action="pause")
    operator.publish(sign(good))
    await until(lambda: operator.reply_to(good))
    return sign(good)


@pytest.mark.timeout(900)
async def test_of_thousands_of_hostile_commands_none_is_done(
    post: Post, judged: Judged, pytestconfig: pytest.Config
) -> None:
    """Expired, retained, doubled, malformed, oversized, ill-typed, unsigned, another station's; good ones in between."""
    campaign = bool(pytestconfig.getoption("--campaign"))
    good = await hostile(post, judged, 12_000 if campaign else 450)
    last = await post.send(post.operator("tablet-2"), "a2", action="skip")
    assert last["outcome"] == "done"
    assert len(post.station.done) == good + 1
    hits = judged.hits()
    assert min(hits.values()) >= (500 if campaign else 5), judged.came
    sys.stderr.write(
        f"F23, F24: refused for what is wrong with them: {', '.join(f'{k} {n}' for k, n in hits.items())}\n"
    )


async def test_a_desk_that_refused_nothing_that_is_signed_is_caught(
    post: Post, judged: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    monkeypatch.setattr(desk, "refusal", lambda *_: judged.came.update([("", "done")]))
    good = await hostile(post, judged, 80)
    assert len(post.station.done) > good
    assert judged.hits()[DOUBLED] == 0


def strangers(post: Post) -> list[Entry]:
    return [entry for entry in post.audit() if not entry.actor]


async def test_a_mad_client_costs_no_memory_and_does_not_keep_a_stop_away(post: Post) -> None:
    """A thousand commands a second, and messages of 100 MB, which the broker keeps from us."""
    operator, mad = post.operator(), post.operator("mad")
    await until(lambda: "a1" in operator.nonces)
    process = psutil.Process()
    before = process.memory_info().rss
    over = threading.Event()

    def flood() -> None:
        pause = threading.Event()
        while not over.is_set():
            for _ in range(20):
                mad.publish(b"{" + os.urandom(200), qos=0)
            pause.wait(0.02)

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        large = bytes(100 * MIB)
        await asyncio.to_thread(mad.publish, large, qos=0)
        for _ in range(2):
            assert (await post.send(operator))["outcome"] == "done"
            await real_sleep(1.0)
        await until(lambda: sum(entry.more_like_it + 1 for entry in strangers(post)) > 500)
    finally:
        over.set()
        thread.join()
    del large
    await until(lambda: process.memory_info().rss - before < 30 * MIB)
    assert len(strangers(post)) < 30


async def test_on_3_1_1_a_message_that_is_too_long_ends_the_connection_and_the_next_one_takes_stop(
    at_bundled: Post, caplog: pytest.LogCaptureFixture
) -> None:
    operator, mad = at_bundled.operator(), at_bundled.operator("mad")
    assert (await at_bundled.send(operator))["outcome"] == "done"
    with caplog.at_level(logging.INFO):  # its message may stand for a few milliseconds only
        mad.publish(bytes(900_000), qos=0)
        await until(lambda: "commands: connected to" in caplog.text.partition("connection cut")[2])
    await real_sleep(1.0)
    assert (await at_bundled.send(operator))["outcome"] == "done"


async def test_no_bytes_of_a_broker_end_the_taking_of_commands_for_good(tmp_path: Path) -> None:
    timing = Timing(first_s=0.01, most_s=0.02)
    around = Surroundings(SystemClock(), lambda: True, timing)
    with Evil([each for each in NONSENSE for _ in range(2)]) as evil:  # twice: MQTT 5 and 3.1.1
        commander = Commander(config_of(tmp_path, evil.port), Station(), Station(), None, around)
        commander.start()
        try:
            await until(lambda: len(evil.asked) > 2 * len(NONSENSE) or commander.message == "ended")
            assert commander.message != "ended"
        finally:
            await asyncio.to_thread(commander.stop)


async def test_what_was_armed_before_and_cannot_be_taken_back_lets_no_commands_be_on(tmp_path: Path) -> None:
    config = config_of(tmp_path, 1883)
    (config.station.data_dir / "armed" / "a1.json").mkdir(parents=True)  # which no unlink removes
    with pytest.raises(ConfigError, match="cannot be taken back"):
        Commander(config, Station(), Station(), None)


def test_settings_that_cannot_be_are_refused(tmp_path: Path) -> None:
    config = config_of(tmp_path, 1883)
    assert set(commanding.command_secrets(config.mqtt)) == {"operate", "start"}
    (tmp_path / "operate").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        commanding.command_secrets(config.mqtt)
    (tmp_path / "operate").chmod(0o600)
    same = config.mqtt.model_copy(update={"start_secret_file": tmp_path / "operate"})
    with pytest.raises(ConfigError, match="of its own"):
        commanding.command_secrets(same)
    (tmp_path / "operate").write_text("short")
    with pytest.raises(ConfigError, match="32"):
        commanding.command_secrets(config.mqtt)
    shared = config.mqtt.model_copy(update={"username": "lab-3", "command_username": "lab-3"})
    with pytest.raises(ConfigError, match="of their own"):
        commanding.command_credentials(shared)


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
async def test_the_shipped_access_lists_let_commands_through_over_tls(
    kind: str, tmp_path: Path, stack: ExitStack
) -> None:
    lab = Certificates.make(tmp_path / "ca")
    if kind == "nats":
        port = stack.enter_context(secured_brokers.nats(tmp_path, lab))
    else:
        port = stack.enter_context(secured_brokers.mosquitto(tmp_path, lab, "no-password"))[0]
    own, ca = lab.named("lab-3-cmd"), lab.file("ca.pem")
    certified = {"ca_file": ca, "command_cert_file": own["cert_file"], "command_key_file": own["key_file"]}
    config = config_of(tmp_path / "lab", port, url=(f"mqtts://localhost:{port}",), **certified)
    post = Post(port, config, Station(), Clock(), stack, commander=None)  # type: ignore[arg-type]
    post.commander = commander_of(post)
    post.commander.start()
    try:
        await until(lambda: post.commander.message == "")
        shown = lab.named("commander")
        operator = Operator(port, "tablet-1", tls=(ca, shown["cert_file"], shown["key_file"]))
        stack.callback(operator.close)
        assert (await post.send(operator))["outcome"] == "done"
    finally:
        await asyncio.to_thread(post.commander.stop)
