"""What a request is: exact JSON, and the text that its signature is made of. Pure.

A stranger's bytes become a ``Request`` only when every field fits and the signature is that of its role's secret for
this very station; until then nothing in it is believed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

LONGEST = 16 * 1024
SIGNED = (
    "cmd_id",
    "nonce",
    "issued_at",
    "expires",
    "channel",
    "expected_state_version",
    "action",
    "actor",
    "role",
    "client",
    "order",
)
"""The fields in the order in which they are signed."""
_HEAD = "cycler-ctl command 1"

Time = Annotated[
    str,
    Field(pattern=r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ$", examples=["2026-11-22T10:15:00.000Z"]),
]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Role(StrEnum):
    """Each has a secret of its own."""

    OPERATE = "operate"
    START = "start"


class Action(StrEnum):
    """All that is ever taken over MQTT. Resume, acknowledge, uploads and limits are not."""

    STOP = "stop"
    PAUSE = "pause"
    SKIP = "skip"
    START = "start"


ALLOWED: Mapping[Role, frozenset[Action]] = {
    Role.OPERATE: frozenset({Action.STOP, Action.PAUSE, Action.SKIP}),
    Role.START: frozenset(Action),
}


class Why(StrEnum):
    """Why a command was refused, for programs."""

    TOO_LONG = "too-long"
    MALFORMED = "malformed"
    RETAINED = "retained"
    UNSIGNED = "unsigned"
    CHANNEL = "channel"
    REPEATED = "repeated"
    EXPIRED = "expired"
    EARLY = "early"
    NONCE = "nonce"
    CLOCK = "clock"
    ROLE = "role"
    OFTEN = "often"
    CHANGED = "changed"
    NOT_ARMED = "not-armed"
    STORE = "store"
    STATION = "station"


class RequestMessage(BaseModel):
    """A request on ``channel/<channel>/cmd``. Never retained; at most 16 KiB; every field is text."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, title="Request")

    v: int = Field(ge=1, le=1)
    cmd_id: str = Field(
        pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
        description="a new UUID (version 4) for each command; it is carried out at most once",
    )
    nonce: str = Field(pattern=r"^[A-Za-z0-9_-]{22}$", description="the newest one of channel/<channel>/nonce")
    issued_at: Time
    expires: Annotated[Time, Field(description="at most 30 s after issued_at")]
    channel: str = Field(pattern=r"^[a-z0-9-]{1,64}$", description="the same as in the topic")
    expected_state_version: str = Field(
        pattern=r"^[0-9a-f]{16}$", description="state_version of channel/<channel>/nonce; stop does not compare it"
    )
    action: Literal["stop", "pause", "skip", "start"]
    actor: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._@+-]{0,63}$", description="who asks, for the record")
    role: Literal["operate", "start"] = Field(description="whose secret signed it; only start may start")
    client: str = Field(pattern=r"^[a-z0-9_-]{1,64}$", description="the reply goes to reply/<client>")
    order: Digest | None = Field(default=None, description="with start, and only with it: the sha256 that arm printed")
    signature: Digest = Field(description="HMAC-SHA256 of the signed text with the role's secret, in hexadecimal")


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose signature is good. Times in s since 1970 UTC by the sender's clock."""

    cmd_id: str
    nonce: str
    issued_utc_s: float
    expires_utc_s: float
    channel: str
    expected_state_version: str
    action: Action
    actor: str
    role: Role
    client: str
    order: str | None

    @property
    def by(self) -> str:
        """Who asked, as the run's record has it."""
        return f"{self.actor} (mqtt {self.client}, role {self.role})"


@dataclass(frozen=True, slots=True)
class Refused:
    """``said``: what is known of the request, which may be anybody's."""

    why: Why
    reason: str
    said: Mapping[str, str]
    request: Request | None = None
    """Set where the signature was good."""


class _Misfit(ValueError):  # noqa: N818 - never leaves this module
    """Why the bytes are no request."""


def authentic(
    payload: bytes, channel: str, station: str, secrets: Mapping[Role, bytes], *, retained: bool
) -> Request | Refused:
    """The request that came on ``channel``'s topic of ``station`` (``site/name``), or why it is none."""
    if len(payload) > LONGEST:
        return Refused(Why.TOO_LONG, f"longer than {LONGEST // 1024} KiB", {})
    try:
        said = _message(payload)
        times = [_utc_s(said.issued_at), _utc_s(said.expires)]
    except _Misfit as error:
        return Refused(Why.MALFORMED, str(error), {})
    facts = {name: value for name, value in said.model_dump().items() if isinstance(value, str) and name != "signature"}
    if not _is_signed(facts, said.signature, station, secrets.get(Role(said.role))):
        return Refused(Why.UNSIGNED, f"the signature is not that of {station}'s secret for {said.role}", facts)
    request = _request(said, times)
    if retained:
        return Refused(Why.RETAINED, "retained commands are never taken: publish without retain", facts, request)
    if said.channel != channel:
        return Refused(Why.CHANNEL, f"the command is for channel {said.channel}, not {channel}", facts, request)
    return request


def signature(facts: Mapping[str, str], station: str, secret: bytes) -> str:
    return hmac.new(secret, signed_text(facts, station).encode(), hashlib.sha256).hexdigest()


def signed_text(facts: Mapping[str, str], station: str) -> str:
    """What is signed: a line with its version, the station as ``site/name``, then a line ``name=value`` for each field.

    A field that is not there has an empty value. No value can hold a line feed, so no two requests share a text.
    """
    lines = [_HEAD, station, *(f"{name}={facts.get(name, '')}" for name in SIGNED)]
    return "".join(f"{line}\n" for line in lines)


def _is_signed(facts: Mapping[str, str], given: str, station: str, secret: bytes | None) -> bool:
    return secret is not None and hmac.compare_digest(given, signature(facts, station, secret))


def _request(said: RequestMessage, times: Sequence[float]) -> Request:
    return Request(
        cmd_id=said.cmd_id,
        nonce=said.nonce,
        issued_utc_s=times[0],
        expires_utc_s=times[1],
        channel=said.channel,
        expected_state_version=said.expected_state_version,
        action=Action(said.action),
        actor=said.actor,
        role=Role(said.role),
        client=said.client,
        order=said.order,
    )


def _message(payload: bytes) -> RequestMessage:
    try:
        document: object = json.loads(payload.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except _Misfit:
        raise
    except (ValueError, RecursionError) as error:
        raise _Misfit("not JSON") from error
    try:
        said = RequestMessage.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:64]
        raise _Misfit(f"{where or 'it'}: {first['msg']}") from error
    if (said.order is not None) != (Action(said.action) is Action.START):
        raise _Misfit("order belongs to start, and to nothing else")
    return said


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Misfit("a name is given twice")
    return found


def _no_number(word: str) -> object:
    raise _Misfit(f"{word} is not JSON")


def _utc_s(text: str) -> float:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC).timestamp()
    except ValueError as error:
        raise _Misfit(f"there is no time {text}") from error
