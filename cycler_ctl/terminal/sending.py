"""``send``: one signed command to a station somewhere, and its reply; the station need not be on this computer."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import sys
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from aiomqtt import Client, MqttError
from pydantic import ValidationError

from cycler_ctl.clock import SystemClock
from cycler_ctl.commanding.decide import LIFETIME_S
from cycler_ctl.commanding.ledger import FILE, Entry, entries
from cycler_ctl.commanding.models import NonceMessage, ReplyMessage
from cycler_ctl.commanding.request import RequestMessage, Why, signature
from cycler_ctl.config import MqttSettings, find_config, load_config
from cycler_ctl.errors import ConfigError, RefusedError
from cycler_ctl.publish.endpoint import Endpoint, credentials, endpoints
from cycler_ctl.publish.names import Names
from cycler_ctl.publish.payloads import iso
from cycler_ctl.publish.topics import ROOT
from cycler_ctl.running.start import who
from cycler_ctl.secret import secret_from_file
from cycler_ctl.terminal.client import NotOffError, UnreachableError
from cycler_ctl.terminal.folding import columns, folded

ANSWER_S = 40.0  # a start looks at the cell first, a stop waits until off is confirmed
NONCE_S = 10.0
_STATION = re.compile(r"[a-z0-9_-]+/[a-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """``station`` is ``site/name``; ``order`` empty but with start."""

    station: str
    channel: str
    action: str
    role: str
    order: str
    actor: str
    secret_file: Path


def send_command(wanted: Wanted, settings: MqttSettings) -> int:
    """0 done. RefusedError: refused, nothing happened. NotOffError: the instrument did not do it."""
    if not _STATION.fullmatch(wanted.station):
        raise ConfigError(f"--station {wanted.station!r}: write site/name, for example kasuga/lab-3")
    secret = secret_from_file(wanted.secret_file, "--secret-file").encode()
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        reply = runner.run(_exchange(wanted, settings, secret))
    if reply.outcome == "failed":
        raise NotOffError(reply.reason)
    if reply.outcome == "refused":
        raise RefusedError(f"refused ({reply.why}): {reply.reason}")
    said = "off, read back" if wanted.action == "stop" else f"done{f', run {reply.run}' if reply.run else ''}"
    sys.stderr.write(f"{wanted.station} channel {wanted.channel}: {wanted.action}: {said}\n")
    return 0


def signed_request(wanted: Wanted, client: str, nonce: NonceMessage, secret: bytes) -> bytes:
    """ConfigError where a value does not fit."""
    now_s = SystemClock().utc()
    facts = {
        "cmd_id": str(uuid.uuid4()),
        "nonce": nonce.nonce,
        "issued_at": str(iso(now_s)),
        "expires": str(iso(now_s + LIFETIME_S)),
        "channel": wanted.channel,
        "expected_state_version": nonce.state_version,
        "action": wanted.action,
        "actor": wanted.actor or who() or "unknown",
        "role": wanted.role,
        "client": client,
        **({"order": wanted.order} if wanted.order else {}),
    }
    request: Mapping[str, object] = {"v": 1, **facts, "signature": signature(facts, wanted.station, secret)}
    try:
        RequestMessage.model_validate(request)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    return json.dumps(request).encode()


async def _located(broker: Endpoint) -> Endpoint:
    try:
        return await Names().locate(broker)
    except OSError as error:
        raise UnreachableError(f"{broker.url}: {error}") from error


async def _exchange(wanted: Wanted, settings: MqttSettings, secret: bytes) -> ReplyMessage:
    """A nonce may be replaced in the very moment it is quoted: then once more, with the newer one."""
    broker, user = await _located(endpoints(settings, None)[0]), credentials(settings)
    client = f"send-{secrets.token_hex(6)}"
    try:
        async with Client(
            broker.host,
            broker.port,
            username=user.username,
            password=user.password,
            identifier=client,
            tls_context=broker.tls,
        ) as link:
            reply = await _ask(link, wanted, client, secret)
            return await _ask(link, wanted, client, secret) if reply.why is Why.NONCE else reply
    except MqttError as error:
        raise UnreachableError(f"{broker.url}: {error}") from error


async def _ask(link: Client, wanted: Wanted, client: str, secret: bytes) -> ReplyMessage:
    base = f"{ROOT}/{wanted.station}"
    topic, reply_topic = f"{base}/channel/{wanted.channel}", f"{base}/reply/{client}"
    await link.subscribe([(f"{topic}/nonce", 1), (reply_topic, 1)])
    payload = await _next(link, f"{topic}/nonce", NONCE_S, "it tells no nonce: does this station take commands?")
    request = signed_request(wanted, client, NonceMessage.model_validate_json(payload), secret)
    await link.publish(f"{topic}/cmd", request, qos=1)
    reply = await _next(link, reply_topic, ANSWER_S, "no reply: whether it was done is not known; look at its state")
    return ReplyMessage.model_validate_json(reply)


async def _next(link: Client, topic: str, within_s: float, otherwise: str) -> bytes:
    try:
        async with asyncio.timeout(within_s):
            async for message in link.messages:
                if message.topic.value == topic:
                    return message.payload
    except TimeoutError as error:
        raise UnreachableError(f"{topic}: {otherwise}") from error
    raise UnreachableError(f"{topic}: the connection has ended")


def show_commands(config: Path | None, *, as_json: bool) -> int:
    found = entries(load_config(find_config(config)).station.data_dir / FILE)
    if as_json:
        sys.stdout.write(json.dumps([asdict(entry) for entry in found]) + "\n")
    else:
        sys.stdout.writelines(f"{folded(command_line(entry), columns())}\n" for entry in found)
    return 0


def command_line(entry: Entry) -> str:
    who_asked = f"{entry.actor} ({entry.client}, {entry.role})" if entry.actor else "nobody known"
    more = f" and {entry.more_like_it} before it" if entry.more_like_it else ""
    line = f"{iso(entry.utc_s)}  {entry.channel}  {entry.action or '?'}  {entry.outcome}  {who_asked}"
    return f"{line}  {entry.reason}{more}"
