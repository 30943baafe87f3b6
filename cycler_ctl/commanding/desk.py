"""Takes what comes, decides, writes it down, has it done and answers. Knows no MQTT; belongs to one thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cycler_ctl.clock import Clock
from cycler_ctl.commanding.armed import ArmedOrders, disarm
from cycler_ctl.commanding.decide import Armed, Known, Refusal, refusal, still_armed
from cycler_ctl.commanding.freshness import Nonces, Tempo, Timekeeping, Trickle
from cycler_ctl.commanding.ledger import Entry, Ledger
from cycler_ctl.commanding.request import Action, Refused, Request, Role, Why, authentic
from cycler_ctl.config import Config
from cycler_ctl.errors import StoreError
from cycler_ctl.live import ChannelStatus, StationView, state_version
from cycler_ctl.publish.payloads import encode, iso
from cycler_ctl.publish.topics import Topics, level
from cycler_ctl.running.start import Order
from protocols.record import JSON

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.25
ASK_EVERY_S = 10.0  # whether the clock is synchronised
STRANGERS_EVERY_S, STRANGERS_AT_ONCE = 1.0, 10  # of what nobody signed, so much is written down and answered
HASTY_EVERY_S, HASTY_AT_ONCE = 0.2, 20  # and of what was signed and is refused
SHOWN = 256
SAID = ("cmd_id", "action", "actor", "role", "client")


@dataclass(frozen=True, slots=True)
class Outgoing:
    topic: str
    payload: bytes
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """``why`` None: it was done."""

    why: Why | None = None
    reason: str = ""
    run: str | None = None
    failed: bool = False

    @property
    def word(self) -> str:
        return "done" if self.why is None else "failed" if self.failed else "refused"


@dataclass(frozen=True, slots=True)
class Counter:
    """What a desk works with. ``act`` begins to do it and returns at once; ``say`` sends, or drops."""

    config: Config
    secrets: Mapping[Role, bytes]
    view: StationView
    clock: Clock
    synchronised: Callable[[], bool]
    act: Callable[[Request, Order | None], None]
    say: Callable[[Outgoing], None]


class Desk:
    """``look`` is called often, ``hear`` for each message, ``over`` once what was begun is over."""

    def __init__(self, counter: Counter, ledger: Ledger) -> None:
        self._c = counter
        self._ledger = ledger
        station, now_s = counter.config.station, counter.clock.now()
        self._topics = Topics(station.site, station.name)
        self._station = f"{level(station.site)}/{level(station.name)}"
        self._armed = ArmedOrders(station.data_dir, counter.config)
        self._nonces = {name: Nonces(now_s) for name in counter.config.channels}
        self._tempo = {name: Tempo() for name in counter.config.channels}
        self._time = Timekeeping()
        self._strangers = Trickle(STRANGERS_EVERY_S, STRANGERS_AT_ONCE)
        self._hasty = Trickle(HASTY_EVERY_S, HASTY_AT_ONCE)
        self._looks = Trickle(LOOK_EVERY_S, 1)
        self._asks = Trickle(ASK_EVERY_S, 1)
        self._synchronised = False
        self._told: dict[str, tuple[object, ...]] = {}
        self._look_at_the_clock()

    def tell_anew(self) -> None:
        """After a connection is made: the broker may know nothing."""
        self._told.clear()
        self._looks = Trickle(LOOK_EVERY_S, 1)

    def look(self) -> None:
        """Nonces, states and what is armed: publish what has changed, end what is over."""
        if not self._looks.take(self._c.clock.now()):
            return
        self._look_at_the_clock()
        for status in self._c.view.channels():
            self._nonces[status.channel].tick(self._c.clock.now())
            self._tell(status)

    def hear(self, channel: str, payload: bytes, *, retained: bool) -> None:
        found = authentic(payload, channel, self._station, self._c.secrets, retained=retained)
        if isinstance(found, Request):
            self._judge(found)
        elif found.request is None:
            self._turn_away(channel, found, payload)
        else:
            self._refuse(found.request, Refusal(found.why, found.reason))

    def over(self, request: Request, outcome: Outcome) -> None:
        self._answer(request, outcome)

    def _judge(self, request: Request) -> None:
        self._look_at_the_clock()
        status = next(one for one in self._c.view.channels() if one.channel == request.channel)
        refused = self._refusal(request, status) or self._taken(request)
        if refused is not None:
            self._refuse(request, refused)
            return
        now_s, stop = self._c.clock.now(), request.action is Action.STOP
        self._tempo[request.channel].count(now_s, stop=stop)
        self._nonces[request.channel].renew(now_s)
        self._tell(status)
        self._begin(request)

    def _refuse(self, request: Request, refused: Refusal) -> None:
        """Also a sender with the right secret may have gone mad."""
        self._ledger.seen(request.cmd_id)
        if self._hasty.take(self._c.clock.now()):
            self._answer(request, Outcome(refused.why, refused.reason))

    def _begin(self, request: Request) -> None:
        file = self._armed.of(request.channel) if request.action is Action.START else None
        try:
            if file is not None:
                disarm(self._c.config.station.data_dir, request.channel)  # ended by use, whatever comes of it
        except StoreError as error:
            self._answer(request, Outcome(Why.STORE, str(error)))
            return
        log.info("MQTT command: %s %s by %s", request.action, request.channel, request.by)
        fits = file is not None and file.digest() == request.order  # it may have been armed anew in this moment
        self._c.act(request, file.order(request.by) if file is not None and fits else None)

    def _refusal(self, request: Request, status: ChannelStatus) -> Refusal | None:
        now_s, stop = self._c.clock.now(), request.action is Action.STOP
        try:
            repeated = self._ledger.repeated(request.cmd_id)
        except StoreError as error:
            if not stop:
                return Refusal(Why.STORE, f"nothing but stop is taken: {error}")
            repeated = False  # a stop done twice is a stop; its nonce is spent by then
        known = Known(
            utc_s=self._c.clock.utc(),
            clock=self._time.trouble(now_s),
            nonces=self._nonces[request.channel].valid(now_s),
            repeated=repeated,
            often=self._tempo[request.channel].too_often(now_s, stop=stop),
            status=status,
            armed=self._armed_now(status),
        )
        return refusal(request, known)

    def _taken(self, request: Request) -> Refusal | None:
        """On disk before it is done: at most once, also if the power goes in between. A stop waits for no disk."""
        try:
            self._ledger.take(request.cmd_id, self._c.clock.utc())
        except StoreError as error:
            log.warning("MQTT command: %s", error)
            if request.action is not Action.STOP:
                return Refusal(Why.STORE, f"nothing but stop is taken: {error}")
        return None

    def _armed_now(self, status: ChannelStatus) -> Armed | None:
        """An order whose time is over, or that somebody was faster than, is disarmed."""
        file = self._armed.of(status.channel)
        if file is None:
            return None
        facts = file.facts()
        if still_armed(facts, status, self._c.clock.utc()):
            return facts
        log.warning("channel %s is not armed any more: its time is over, or somebody used it", status.channel)
        try:
            disarm(self._c.config.station.data_dir, status.channel)
        except StoreError as error:
            log.warning("%s", error)
        return None

    def _look_at_the_clock(self) -> None:
        clock = self._c.clock
        if self._asks.take(clock.now()):
            self._synchronised = self._c.synchronised()
        self._time.look(clock.now(), clock.utc(), synchronised=self._synchronised)

    def _tell(self, status: ChannelStatus) -> None:
        nonces, now_s = self._nonces[status.channel], self._c.clock.now()
        armed, trouble = self._armed_now(status), self._time.trouble(now_s)
        version = state_version(status)
        news = (nonces.current, version, armed, bool(trouble))
        if self._told.get(status.channel) == news:
            return
        self._told[status.channel] = news
        utc_s = self._c.clock.utc()
        said: dict[str, JSON] = {
            "v": 1,
            "channel": status.channel,
            "nonce": nonces.current,
            "state_version": version,
            "state": str(status.state),
            "run": status.run,
            "step": status.step,
            "armed": None if armed is None else _armed_json(armed),
            "only_stop": trouble,
            "published_at": iso(utc_s),
            "expires_at": iso(utc_s + nonces.good_for_s(now_s)),
        }
        self._c.say(Outgoing(self._topics.channel(status.channel, "nonce"), encode(said), retain=True))

    def _turn_away(self, channel: str, found: Refused, payload: bytes) -> None:
        """What nobody signed changes nothing; a flood of it is counted, not written down."""
        if not self._strangers.take(self._c.clock.now()):
            return
        held, self._strangers.held = self._strangers.held, 0
        beginning = ascii(payload[:SHOWN].decode("ascii", "backslashreplace"))[1:-1]
        log.warning("MQTT command refused on %s: %s: %.64s (and %d before it)", channel, found.reason, beginning, held)
        said = found.said
        outcome = Outcome(found.why, found.reason)
        entry = _entry(self._c.clock.utc(), channel, said, outcome)
        self._note(replace(entry, beginning=beginning, more_like_it=held))
        if "client" in said:
            self._reply(said["client"], channel, said, outcome)

    def _answer(self, request: Request, outcome: Outcome) -> None:
        said = {name: str(getattr(request, name)) for name in SAID}
        if outcome.why is not None:
            log.warning("MQTT command: %s %s by %s: %s", request.action, request.channel, request.by, outcome.reason)
        self._note(_entry(self._c.clock.utc(), request.channel, said, outcome))
        self._reply(request.client, request.channel, said, outcome)

    def _note(self, entry: Entry) -> None:
        try:
            self._ledger.note(entry)
        except StoreError as error:
            log.warning("MQTT command not written down: %s: %s", entry, error)

    def _reply(self, client: str, channel: str, said: Mapping[str, str], outcome: Outcome) -> None:
        reply: dict[str, JSON] = {
            "v": 1,
            "cmd_id": said.get("cmd_id"),
            "channel": channel,
            "action": said.get("action"),
            "outcome": outcome.word,
            "why": None if outcome.why is None else str(outcome.why),
            "reason": outcome.reason,
            "run": outcome.run,
            "at": iso(self._c.clock.utc()),
        }
        self._c.say(Outgoing(f"{self._topics.base}/reply/{client}", encode(reply)))


def _armed_json(armed: Armed) -> dict[str, JSON]:
    return {
        "order": armed.order,
        "protocol": armed.protocol,
        "cell": armed.cell,
        "by": armed.by,
        "until": iso(armed.until_utc_s),
    }


def _entry(utc_s: float, channel: str, said: Mapping[str, str], outcome: Outcome) -> Entry:
    return Entry(
        utc_s=utc_s,
        channel=channel,
        cmd_id=said.get("cmd_id", ""),
        action=said.get("action", ""),
        actor=said.get("actor", ""),
        role=said.get("role", ""),
        client=said.get("client", ""),
        outcome=outcome.word,
        reason=f"{outcome.why}: {outcome.reason}" if outcome.why else outcome.run or "",
    )
