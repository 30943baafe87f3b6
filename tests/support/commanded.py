"""Signed commands as any program would make them, from the documented form and nothing of ours; a station they go to."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

ORDER = (
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
SECRETS = {"operate": "operate-" + "s" * 32, "start": "start-" + "t" * 32}
STATION = "kasuga/lab-3"
BASE = f"cycler/v1/{STATION}"


def iso(utc_s: float) -> str:
    return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fields(utc_s: float, nonce: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    """All but the signature; ``nonce`` is what the station tells."""
    told = nonce or {"nonce": "n" * 22, "state_version": "0" * 16, "channel": "a1"}
    made = {
        "v": 1,
        "cmd_id": str(uuid.uuid4()),
        "nonce": told["nonce"],
        "issued_at": iso(utc_s),
        "expires": iso(utc_s + 30.0),
        "channel": told["channel"],
        "expected_state_version": told["state_version"],
        "action": "stop",
        "actor": "A. Researcher",
        "role": "operate",
        "client": "tablet-1",
    }
    return {**made, **changed}


def sign(facts: dict[str, Any], *, station: str = STATION, secret: str | None = None) -> bytes:
    lines = ["cycler-ctl command 1", station, *(f"{name}={facts.get(name, '')}" for name in ORDER)]
    key = secret if secret is not None else SECRETS.get(str(facts.get("role")), "")
    text = "\n".join(lines) + "\n"
    return json.dumps(
        {**facts, "signature": hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()}
    ).encode()


class Operator:
    """A stranger's program with the right secrets: hears nonces and replies, sends what it is told to."""

    def __init__(self, port: int, name: str = "tablet-1", *, tls: tuple[Path, Path, Path] | None = None) -> None:
        """``tls``: the authority's file, a certificate and its key."""
        self.nonces: dict[str, dict[str, Any]] = {}
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.replies: list[dict[str, Any]] = []
        self._name = name
        ready = threading.Event()
        self.link = paho.Client(CallbackAPIVersion.VERSION2, client_id=name)
        self.link.on_message = self._on_message
        self.link.on_subscribe = lambda *_: ready.set()
        if tls is not None:
            self.link.tls_set(str(tls[0]), str(tls[1]), str(tls[2]))
        self.link.connect("127.0.0.1" if tls is None else "localhost", port)
        self.link.subscribe([(f"{BASE}/channel/+/nonce", 1), (f"{BASE}/reply/{name}", 1)])
        self.link.loop_start()
        assert ready.wait(10)

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        said = json.loads(message.payload)
        self.told.append((message.topic, said))
        if message.topic.endswith("/nonce"):
            self.nonces[said["channel"]] = said
        else:
            self.replies.append(said)

    def request(self, utc_s: float, channel: str = "a1", **changed: Any) -> dict[str, Any]:
        return {**fields(utc_s, self.nonces[channel], client=self._name), **changed}

    def publish(self, payload: bytes, channel: str = "a1", *, qos: int = 1, retain: bool = False) -> None:
        self.link.publish(f"{BASE}/channel/{channel}/cmd", payload, qos=qos, retain=retain)

    def reply_to(self, request: dict[str, Any]) -> dict[str, Any] | None:
        return next((reply for reply in self.replies if reply["cmd_id"] == request["cmd_id"]), None)

    def close(self) -> None:
        self.link.disconnect()
        self.link.loop_stop()
