"""The shipped broker configurations, with a test's paths and ports and one user who may do everything; certificates."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from cycler_ctl.broker import find_server, free_port

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
WAIT_S = 10.0


def lab_ca(folder: Path, *arguments: str, days: int = 20) -> None:
    subprocess.run(
        ["sh", str(DEPLOY / "lab-ca.sh"), *arguments],
        cwd=folder,
        env={**os.environ, "DAYS": str(days)},
        check=True,
        capture_output=True,
    )


@dataclass(frozen=True)
class Certificates:
    """Of one authority: broker, stations, people."""

    folder: Path

    def file(self, name: str) -> Path:
        return self.folder / name

    def named(self, name: str, *, days: int = 20) -> dict[str, Path]:
        """``cert_file`` and ``key_file`` of a client."""
        if not self.file(f"{name}.pem").exists():
            lab_ca(self.folder, "client", name, days=days)
        return {"cert_file": self.file(f"{name}.pem"), "key_file": self.file(f"{name}.key")}

    @classmethod
    def make(cls, folder: Path) -> Certificates:
        if shutil.which("openssl") is None or shutil.which("sh") is None:
            pytest.skip("openssl is not installed")
        folder.mkdir()
        lab_ca(folder, "ca")
        lab_ca(folder, "server", "broker", "DNS:localhost")
        return cls(folder)


def replaced(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@contextlib.contextmanager
def serving(command: list[str], folder: Path, ports: list[int]) -> Iterator[None]:
    with (folder / "broker.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(400):
            if all(map(_open, ports)):
                break
            assert process.poll() is None, (folder / "broker.log").read_text()
            threading.Event().wait(0.02)
        yield
    finally:
        process.terminate()
        process.wait()


def _open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
        return True
    return False


@contextlib.contextmanager
def mosquitto(folder: Path, certificates: Certificates, password: str) -> Iterator[tuple[int, int]]:
    """Ports for certificates and for passwords (user viewer)."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    words = shutil.which("mosquitto_passwd")
    if program is None or words is None:
        pytest.skip("mosquitto is not installed: apt install mosquitto mosquitto-clients")
    for name in ("ca.pem", "broker.pem", "broker.key"):
        shutil.copy(certificates.file(name), folder)
    acl = (DEPLOY / "mosquitto" / "acl").read_text(encoding="utf-8")
    (folder / "acl").write_text(f"{acl}\nuser witness\ntopic readwrite #\n", encoding="utf-8")
    subprocess.run([words, "-c", "-b", str(folder / "users"), "viewer", password], check=True, capture_output=True)
    ports = free_port(0), free_port(0)
    changes = {
        "/etc/mosquitto/cycler": str(folder),
        "/var/lib/mosquitto/": f"{folder}/",
        "listener 8883": f"listener {ports[0]} 127.0.0.1",
        "listener 8884": f"listener {ports[1]} 127.0.0.1",
    }
    text = replaced((DEPLOY / "mosquitto" / "mosquitto.conf").read_text(encoding="utf-8"), changes)
    (folder / "mosquitto.conf").write_text(text + "user root\n", encoding="utf-8")
    with serving([program, "-c", str(folder / "mosquitto.conf")], folder, list(ports)):
        yield ports


@contextlib.contextmanager
def nats(folder: Path, certificates: Certificates) -> Iterator[int]:
    for name in ("ca.pem", "broker.pem", "broker.key"):
        shutil.copy(certificates.file(name), folder)
    port = free_port(0)
    changes = {
        "/etc/nats/": f"{folder.as_posix()}/",
        "/var/lib/nats": folder.as_posix(),
        "/var/log/nats/": f"{folder.as_posix()}/",
        "0.0.0.0:8883": f"127.0.0.1:{port}",
        "127.0.0.1:4222": "127.0.0.1:-1",
        "    users: [\n": '    users: [\n      { user: "CN=witness" }\n',
    }
    text = replaced((DEPLOY / "nats" / "nats.conf").read_text(encoding="utf-8"), changes)
    (folder / "nats.conf").write_text(text, encoding="utf-8")
    with serving([str(find_server()), "-c", str(folder / "nats.conf")], folder, [port]):
        yield port


class Client:
    """An independent client over TLS; ``heard`` are topics, in order."""

    def __init__(
        self, port: int, ca: Path, own: Mapping[str, Path], password: str | None = None, within_s: float = WAIT_S
    ) -> None:
        self.heard: list[str] = []
        self._arrived = threading.Condition()
        self._done: set[int] = set()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        shown = [str(own[key]) if own else None for key in ("cert_file", "key_file")]
        self._client.tls_set(str(ca), shown[0], shown[1])
        if password is not None:
            self._client.username_pw_set("viewer", password)
        up = threading.Event()
        self._client.on_connect = lambda _c, _u, _f, code, _p: None if code.is_failure else up.set()
        self._client.on_message = lambda _c, _u, got: self._note(self.heard.append, got.topic)
        self._client.on_publish = lambda _c, _u, number, *_: self._note(self._done.add, number)
        self._client.on_subscribe = lambda _c, _u, number, *_: self._note(self._done.add, number)
        self._client.connect("localhost", port)
        self._client.loop_start()
        if not up.wait(within_s):
            self.close()
            raise AssertionError("the broker did not let us in")

    def _note(self, add: object, what: object) -> None:
        with self._arrived:
            assert callable(add)
            add(what)
            self._arrived.notify_all()

    def subscribe(self, topic: str) -> None:
        number = self._client.subscribe(topic, qos=1)[1]
        assert number is not None
        self._wait_for(number)

    def publish(self, topic: str) -> None:
        self._wait_for(self._client.publish(topic, b"{}", qos=1).mid)

    def _wait_for(self, number: int) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: number in self._done, WAIT_S)

    def hears(self, topic: str, within_s: float) -> bool:
        with self._arrived:
            return self._arrived.wait_for(lambda: topic in self.heard, within_s)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def refusal(port: int, ca: Path, own: Mapping[str, Path]) -> str:
    """What a client that shows this certificate, or none, meets when it connects; empty: it is let in."""
    context = ssl.create_default_context(cafile=ca)
    if own:
        context.load_cert_chain(own["cert_file"], own["key_file"])
    try:
        with (
            socket.create_connection(("127.0.0.1", port), WAIT_S) as wire,
            context.wrap_socket(wire, server_hostname="localhost") as secure,
        ):
            secure.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00")
            return "" if secure.recv(4) == b"\x20\x02\x00\x00" else "closed"
    except OSError as error:
        return str(error)
