"""Whether a signed command is carried out now: one pure function of the request and of what is known at that moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cycler_ctl.commanding.request import ALLOWED, Action, Request, Why
from cycler_ctl.live import ChannelState, ChannelStatus, state_version

LIFETIME_S = 30.0
SKEW_S = 5.0  # a sender's clock may be ahead of ours by so much
FREE = frozenset({ChannelState.IDLE, ChannelState.FINISHED, ChannelState.STOPPED, ChannelState.ABORTED})
"""In which a run may begin."""


@dataclass(frozen=True, slots=True)
class Armed:
    """What somebody at this computer left ready to be started once, until ``until_utc_s``."""

    order: str
    protocol: str
    cell: str | None
    by: str
    armed_utc_s: float
    until_utc_s: float
    after_run: str | None
    """The channel's run, or last run, when it was armed: any other, and somebody was here in between."""


@dataclass(frozen=True, slots=True)
class Known:
    """``nonces``: those that may be quoted now. ``clock``: why the time of day cannot be relied on, or empty.

    ``often``: why it comes too soon after others, or empty. ``repeated``: a command of this id came before.
    """

    utc_s: float
    clock: str
    nonces: frozenset[str]
    repeated: bool
    often: str
    status: ChannelStatus
    armed: Armed | None


@dataclass(frozen=True, slots=True)
class Refusal:
    why: Why
    reason: str


def refusal(request: Request, known: Known) -> Refusal | None:
    """Why a command whose signature is good is not carried out; None: it is."""
    return next(filter(None, (rule(request, known) for rule in _RULES)), None)


def still_armed(armed: Armed, status: ChannelStatus, utc_s: float) -> bool:
    """Until its time is over, a run has begun here, or the channel is anything but ready for one."""
    in_time = armed.armed_utc_s <= utc_s < armed.until_utc_s
    return in_time and armed.after_run == status.run and status.state in FREE


def _not_repeated(_: Request, known: Known) -> Refusal | None:
    return Refusal(Why.REPEATED, "a command of this cmd_id came before") if known.repeated else None


def _short_lived(request: Request, _: Known) -> Refusal | None:
    if 0 < request.expires_utc_s - request.issued_utc_s <= LIFETIME_S:
        return None
    return Refusal(Why.EXPIRED, f"expires must be after issued_at, by at most {LIFETIME_S:.0f} s")


def _in_time(request: Request, known: Known) -> Refusal | None:
    """Where our clock is not to be relied on, the nonce alone says that a stop is fresh."""
    if known.clock and request.action is Action.STOP:
        return None
    if not known.utc_s < request.expires_utc_s:  # so that a clock that tells no number refuses
        late_s = known.utc_s - request.expires_utc_s
        return Refusal(Why.EXPIRED, f"it expired {late_s:.1f} s ago by this station's clock")
    ahead_s = request.issued_utc_s - known.utc_s
    if not ahead_s <= SKEW_S:
        return Refusal(Why.EARLY, f"issued_at is {ahead_s:.1f} s ahead of this station's clock: set the sender's clock")
    return None


def _quotes_the_nonce(request: Request, known: Known) -> Refusal | None:
    if request.nonce in known.nonces:
        return None
    return Refusal(Why.NONCE, "the nonce is not, or no longer, this channel's: take the newest one and sign again")


def _known_time(request: Request, known: Known) -> Refusal | None:
    if not known.clock or request.action is Action.STOP:
        return None
    return Refusal(Why.CLOCK, f"nothing but stop is taken: {known.clock}")


def _role_may(request: Request, _: Known) -> Refusal | None:
    if request.action in ALLOWED[request.role]:
        return None
    return Refusal(Why.ROLE, f"the role {request.role} may not {request.action}")


def _not_too_often(_: Request, known: Known) -> Refusal | None:
    return Refusal(Why.OFTEN, known.often) if known.often else None


def _as_seen(request: Request, known: Known) -> Refusal | None:
    """Off is the safe side of whatever the channel does meanwhile: a stop is never refused for that."""
    if request.action is Action.STOP or request.expected_state_version == state_version(known.status):
        return None
    return Refusal(Why.CHANGED, f"the channel is not as it was seen: it is {_now(known.status)}")


def _now(status: ChannelStatus) -> str:
    step = f", step {status.step}" if status.step else ""
    return f"{status.state}{step}"


def _is_armed(request: Request, known: Known) -> Refusal | None:
    if request.action is not Action.START:
        return None
    armed, channel = known.armed, known.status.channel
    if armed is None or not still_armed(armed, known.status, known.utc_s):
        return Refusal(Why.NOT_ARMED, f"channel {channel} is not armed: 'cycler-ctl arm {channel} …' at the station")
    if request.order != armed.order:
        return Refusal(Why.NOT_ARMED, f"channel {channel} is armed with another order")
    return None


_RULES: tuple[Callable[[Request, Known], Refusal | None], ...] = (
    _not_repeated,
    _short_lived,
    _in_time,
    _quotes_the_nonce,
    _known_time,
    _role_may,
    _not_too_often,
    _as_seen,
    _is_armed,
)
