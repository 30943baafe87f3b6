"""The door of the HTTP API: decides who may speak before any route is looked up, and puts the safety headers on answers.

A web page anywhere can send requests to a loopback service (DNS rebinding, cross-site forms), so the Host must be one
of ours, another site's Origin is refused, and acting takes a token in a header, which no foreign page can send.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_LIMIT = 16 * 1024
START_BODY_LIMIT = 1024 * 1024  # a protocol file may be this long
WITH_PROTOCOLS = ("/start", "/check", "/plan", "/queue", "/amend")
DISCARD_LIMIT = 8 * 1024 * 1024
BODY_TIME_S = 10.0
ACTIONS_PER_S = 20.0

CONTENT_SECURITY_POLICY = "default-src 'self'; img-src 'self' data: blob:"
SAFETY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Rules:
    """``allowed_hosts`` holds names with or without a port; a name without one is good on every port."""

    token: str
    allowed_hosts: frozenset[str]
    reading_needs_token: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    detail: str


class Bucket:
    """At most ``per_s`` actions in a second, on the real machine's clock."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._left = per_s
        self._at_s: float | None = None

    def take(self, now_s: float) -> bool:
        since_s = 0.0 if self._at_s is None else now_s - self._at_s
        self._at_s = now_s
        self._left = min(self._per_s, self._left + since_s * self._per_s)
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Gate:
    """ASGI middleware; everything else of the application stands behind it."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app = app
        self._rules = rules
        self._bucket = Bucket(ACTIONS_PER_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        guarded = _with_safety_headers(send)
        refusal = check(scope, self._rules) or self._too_fast(scope)
        if refusal is not None:
            await _refuse(guarded, refusal)
        elif reads(scope):
            await self._app(scope, receive, guarded)
        else:
            await self._with_body(scope, receive, guarded)

    def _too_fast(self, scope: Scope) -> Refusal | None:
        """Stop is never refused for coming too often."""
        if reads(scope) or str(scope["path"]).endswith("/stop"):
            return None
        if self._bucket.take(asyncio.get_running_loop().time()):
            return None
        return Refusal(429, f"more than {ACTIONS_PER_S:.0f} actions in a second: wait a moment")

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = START_BODY_LIMIT if str(scope["path"]).endswith(WITH_PROTOCOLS) else BODY_LIMIT
        body = await _read_body(Headers(scope=scope), receive, limit)
        if isinstance(body, Refusal):
            await _refuse(send, body)
        else:
            await self._app(scope, _replay(body, receive), send)


def check(scope: Scope, rules: Rules) -> Refusal | None:
    """Why this request must not come in; None: it may."""
    headers = Headers(scope=scope)
    return (
        _check_host(headers, rules)
        or _check_site(scope, headers)
        or _check_token(scope, headers, rules)
        or _check_type(scope, headers)
    )


def reads(scope: Scope) -> bool:
    return scope["method"] in {"GET", "HEAD"}


def _check_host(headers: Headers, rules: Rules) -> Refusal | None:
    host = headers.get("host", "")
    if len(headers.getlist("host")) == 1 and {host, without_port(host)} & rules.allowed_hosts:
        return None
    return Refusal(421, "this service is not known by the host name you used")


def without_port(host: str) -> str:
    """``[::1]:8787`` is ``[::1]``, ``localhost:8787`` is ``localhost``."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _check_site(scope: Scope, headers: Headers) -> Refusal | None:
    refusal = Refusal(403, "requests from other sites are refused")
    origin = headers.get("origin")
    if origin is not None and origin != f"{scope['scheme']}://{headers['host']}":
        return refusal
    site = headers.get("sec-fetch-site", "same-origin")
    if site in {"same-origin", "none"} or _follows_a_link(scope, headers):
        return None
    return refusal


def _follows_a_link(scope: Scope, headers: Headers) -> bool:
    """A link to the page in a wiki may be followed: the page itself holds no data and cannot be framed."""
    return scope["path"] == "/" and reads(scope) and headers.get("sec-fetch-dest") == "document"


def _check_token(scope: Scope, headers: Headers, rules: Rules) -> Refusal | None:
    if reads(scope) and (not rules.reading_needs_token or _is_shell(str(scope["path"]))):
        return None
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), rules.token.encode()):
        return None
    return Refusal(401, "this needs the token: Authorization: Bearer TOKEN (serve prints the address that carries it)")


def _is_shell(path: str) -> bool:
    """What a browser must fetch before the page can send a token; it holds no data."""
    return path == "/" or path.startswith("/static/")


def _check_type(scope: Scope, headers: Headers) -> Refusal | None:
    if reads(scope) or headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
        return None
    return Refusal(415, "only application/json is understood")


async def _read_body(headers: Headers, receive: Receive, limit: int) -> bytes | Refusal:
    """A body that is too long is still taken off the wire (within reason), or the sender would never see the answer."""
    declared = headers.get("content-length", "0")
    body = bytearray()
    length = 0
    try:
        async with asyncio.timeout(BODY_TIME_S):
            more = int(declared) <= DISCARD_LIMIT  # h11 has made sure it is a number
            while more and length <= DISCARD_LIMIT:
                message = await receive()
                more = message.get("more_body", False)
                part: bytes = message.get("body", b"")
                length += len(part)
                body += part if length <= limit else b""
    except TimeoutError:
        return Refusal(408, f"the body did not arrive within {BODY_TIME_S:.0f} s")
    if max(length, int(declared)) > limit:
        return Refusal(413, f"the body is longer than {limit // 1024} KiB")
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once, then whatever the connection says (that it is gone)."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message


def _with_safety_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SAFETY_HEADERS.items():
                headers[name] = value
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return guarded


async def _refuse(send: Send, refusal: Refusal) -> None:
    body = json.dumps({"detail": refusal.detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if refusal.status in {408, 413}:
        headers.append((b"connection", b"close"))  # what is left of the body must not be read as a request
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
