"""Somebody else's historian, as the interface describes one: it keeps rows by their key, and asks for what it misses."""

import hashlib
import json
import threading
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

BASE = "cycler/v1/kasuga/lab-3"
ASK_EVERY_S = 0.25
BEYOND = 2**40


class Historian:
    """``asks`` False: it takes what comes, and that is all."""

    def __init__(self, port: int, name: str, *, asks: bool = True) -> None:
        self.table: dict[tuple[str, int, int], list[Any]] = {}
        self.manifests: dict[str, dict[str, Any]] = {}
        self.events: set[tuple[str, int, int]] = set()
        self.duplicates = 0
        self.conflicts: list[tuple[str, int, int]] = []
        self.asked = 0
        self._asks = asks
        self._changed = threading.Condition()
        self._ready = threading.Event()
        client: Any = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
        client.reconnect_delay_set(0.05, 0.05)  # its type says whole seconds, its code does not mind
        self._client: Any = client
        self._client.on_connect = lambda client, *_: client.subscribe(f"{BASE}/#", qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(15)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def complete(self, run: str, epoch: int, within_s: float) -> bool:
        """Ask until every row is there that the last manifest names, and until there is a last one."""
        with self._changed:
            for _ in range(round(within_s / ASK_EVERY_S)):
                if self._changed.wait_for(lambda: self._has_all(run), ASK_EVERY_S):
                    return True
                if self._asks:
                    self._ask(run, epoch)
        return False

    def rows(self, run: str) -> dict[int, list[Any]]:
        """Those that the manifest names, as far as there is one; else all of the run."""
        found: dict[int, list[Any]] = {}
        parts = self.manifests.get(run, {}).get("stretches")
        for (of, epoch, seq), values in list(self.table.items()):
            named = parts is None or any(
                part["epoch"] == epoch and part["first"] <= seq <= part["last"] for part in parts
            )
            if of == run and named:
                found[seq] = values
        return found

    def _has_all(self, run: str) -> bool:
        manifest = self.manifests.get(run)
        if manifest is None or self._missing(run):
            return False
        lines = [
            json.dumps(row, ensure_ascii=False, separators=(",", ":")) for _, row in sorted(self.rows(run).items())
        ]
        sha256 = hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
        return bool(sha256 == manifest["sha256"])

    def _missing(self, run: str) -> list[tuple[int, int, int]]:
        """(epoch, first, last) of the first hole in each stretch."""
        holes: list[tuple[int, int, int]] = []
        for part in self.manifests[run]["stretches"]:
            epoch, last = part["epoch"], part["last"]
            absent = [seq for seq in range(part["first"], last + 1) if (run, epoch, seq) not in self.table]
            holes += [(epoch, absent[0], absent[-1])] if absent else []
        return holes

    def _ask(self, run: str, epoch: int) -> None:
        holes = self._missing(run) if run in self.manifests else [(epoch, BEYOND - 1, BEYOND)]
        for epoch_of, first, last in holes:
            self.asked += 1
            need = {"v": 1, "run": run, "epoch": epoch_of, "from_seq": first, "to_seq": last, "client": "historian"}
            self._client.publish(f"{BASE}/need", json.dumps(need), qos=1)

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        self._heard(message.topic, bytes(message.payload))

    def _heard(self, topic: str, payload: bytes) -> None:
        said: Any = json.loads(payload) if payload else None
        with self._changed:
            if topic.endswith("/samples"):
                self._keep(said)
            elif topic.endswith("/event"):
                self.events.add((said["run"], said["epoch"], said["n"]))
            elif topic.endswith("/manifest") and said["final"]:
                self.manifests[said["run"]] = said
            self._changed.notify_all()

    def _keep(self, batch: dict[str, Any]) -> None:
        for seq, values in enumerate(batch["rows"], batch["first_seq"]):
            key = (batch["run"], batch["epoch"], seq)
            self.duplicates += key in self.table
            if self.table.setdefault(key, values) != values:
                self.conflicts.append(key)
