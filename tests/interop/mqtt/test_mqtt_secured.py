"""The shipped configurations of mosquitto and NATS over TLS: who is let in, and who may do what."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import secured_brokers
from secured_brokers import WAIT_S, Certificates, Client, refusal

from cycler_ctl.publish.backoff import Timing

BASE = "cycler/v1/kasuga/lab-3"
CMD = f"{BASE}/channel/a1/cmd"
WRITES = {
    "lab-3": (f"{BASE}/status", f"{BASE}/channel/a1/samples", f"{BASE}/alarm/x", "homeassistant/device/cycler-kasuga-lab-3/a1/config"),
    "lab-3-cmd": (f"{BASE}/reply/me",),
    "collector": (f"{BASE}/need", f"{BASE}/sink/historian"),
    "commander": (CMD,),
}  # fmt: skip
MAY_NOT_WRITE = {
    "lab-3": (CMD, "cycler/v1/kasuga/lab-4/status", "cycler/v1/elsewhere/lab-3/status", "other/topic",
              "homeassistant/device/cycler-kasuga-lab-4/a1/config"),
    "lab-3-cmd": (CMD, f"{BASE}/status", f"{BASE}/channel/a1/samples"),
    "viewer": (CMD, f"{BASE}/status", f"{BASE}/need"),
    "collector": (CMD, f"{BASE}/channel/a1/samples"),
    "commander": (f"{BASE}/status", f"{BASE}/channel/a1/samples"),
    "homeassistant": (CMD, f"{BASE}/status", "homeassistant/device/cycler-kasuga-lab-3/a1/config"),
}  # fmt: skip
READS = {
    "lab-3": (f"{BASE}/need", f"{BASE}/status", f"{BASE}/sink/historian", f"{BASE}/alarm/x"),
    "lab-3-cmd": (CMD,),
    "viewer": (f"{BASE}/status", f"{BASE}/channel/a1/samples"),
    "collector": (f"{BASE}/channel/a1/samples",),
    "commander": (f"{BASE}/reply/me", f"{BASE}/status"),
    "homeassistant": (f"{BASE}/status", "homeassistant/device/cycler-kasuga-lab-3/a1/config"),
}
MAY_NOT_READ = {
    "lab-3": (CMD, "cycler/v1/kasuga/lab-4/status", f"{BASE}/channel/a1/samples"),
    "lab-3-cmd": ("cycler/v1/kasuga/lab-4/channel/a1/cmd", f"{BASE}/channel/a1/samples"),
    "viewer": (CMD,),
    "commander": (f"{BASE}/channel/a1/samples",),
    "homeassistant": (CMD,),
}
ALL = sorted(
    {topic for side in (WRITES, MAY_NOT_WRITE, READS, MAY_NOT_READ) for topics in side.values() for topic in topics}
)


HASTY = Timing(first_s=0.05, most_s=0.1, connack_s=0.4, puback_s=0.4)
PASSWORD = secrets.token_urlsafe(18)


@dataclass(frozen=True)
class Secured:
    """``for_passwords``: the port where no certificate is asked for, if there is one."""

    port: int
    certificates: Certificates
    for_passwords: int | None

    @property
    def ca(self) -> Path:
        return self.certificates.file("ca.pem")

    @property
    def url(self) -> str:
        return f"mqtts://localhost:{self.port}"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("lab") / "ca")


HASTY = Timing(first_s=0.05, most_s=0.1, connack_s=0.4, puback_s=0.4)
PASSWORD = secrets.token_urlsafe(18)


@pytest.fixture(scope="module", params=["mosquitto", "nats"])
def secured(
    request: pytest.FixtureRequest, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "nats":
        with secured_brokers.nats(folder, certificates) as port:
            yield Secured(port, certificates, None)
    else:
        with secured_brokers.mosquitto(folder, certificates, PASSWORD) as (port, for_passwords):
            yield Secured(port, certificates, for_passwords)


@pytest.fixture
def connect(secured: Secured) -> Iterator[Callable[[str], Client]]:
    made: list[Client] = []

    def start(name: str) -> Client:
        made.append(Client(secured.port, secured.ca, secured.certificates.named(name)))
        return made[-1]

    yield start
    for client in made:
        client.close()


Connect = Callable[[str], Client]


def test_each_may_write_what_is_its_own_and_nothing_else(connect: Connect) -> None:
    witness = connect("witness")
    for branch in ("cycler/#", "homeassistant/#", "other/#"):
        witness.subscribe(branch)
    for name in WRITES.keys() | MAY_NOT_WRITE.keys():
        witness.heard.clear()
        client = connect(name)
        for topic in (*MAY_NOT_WRITE.get(name, ()), *WRITES.get(name, ())):
            client.publish(topic)
        witness.publish("other/mark")
        assert witness.hears("other/mark", WAIT_S)
        assert set(witness.heard) == {*WRITES.get(name, ()), "other/mark"}, name


def test_each_reads_what_it_may_and_nothing_else(connect: Connect) -> None:
    readers = {name: connect(name) for name in READS.keys() | MAY_NOT_READ.keys()}
    for name, reader in readers.items():
        for topic in (*READS.get(name, ()), *MAY_NOT_READ.get(name, ())):
            reader.subscribe(topic)
    witness = connect("witness")
    for topic in ALL:
        witness.publish(topic)
    for name, reader in readers.items():
        for topic in READS.get(name, ()):
            assert reader.hears(topic, WAIT_S), (name, topic)
        assert set(reader.heard) == set(READS.get(name, ())), name


def test_a_reader_of_everything_gets_everything_but_commands(connect: Connect) -> None:
    viewer, witness = connect("viewer"), connect("witness")
    viewer.subscribe("cycler/#")
    for topic in (CMD, f"{BASE}/channel/a1/last"):
        witness.publish(topic)
    assert viewer.hears(f"{BASE}/channel/a1/last", WAIT_S)
    assert CMD not in viewer.heard


def test_only_who_shows_a_certificate_of_the_lab_that_holds_is_let_in(secured: Secured, tmp_path: Path) -> None:
    lab = secured.certificates
    stranger = Certificates.make(tmp_path / "ca").named("lab-3")
    assert refusal(secured.port, secured.ca, lab.named("lab-3")) == ""
    assert refusal(secured.port, secured.ca, {}) != ""
    assert refusal(secured.port, secured.ca, lab.named("former", days=-1)) != ""
    assert refusal(secured.port, secured.ca, stranger) != ""


def test_who_has_a_password_and_no_certificate_reads_over_tls_at_the_other_port(
    secured: Secured, connect: Connect
) -> None:
    if secured.for_passwords is None:
        assert "verify_and_map: true" in (secured_brokers.DEPLOY / "nats" / "nats.conf").read_text(encoding="utf-8")
        return
    viewer = Client(secured.for_passwords, secured.ca, {}, PASSWORD)
    viewer.subscribe("cycler/#")
    connect("witness").publish(f"{BASE}/status")
    assert viewer.hears(f"{BASE}/status", WAIT_S)
    viewer.close()
    assert refusal(secured.for_passwords, secured.ca, {}) != ""
    with pytest.raises(AssertionError):
        Client(secured.for_passwords, secured.ca, {}, "wrong", within_s=0.5)


def test_a_station_publishes_over_tls_with_its_certificate_and_a_reader_sees_every_row(
    lab: Any, secured: Secured, until: Any
) -> None:
    writer = lab.begin()
    lab.record(writer, 1, 100)
    publisher = lab.publish(secured.url, ca_file=secured.ca, **secured.certificates.named("lab-3"))
    until(lambda: publisher.status().connected and publisher.status().rows_waiting == {})
    assert "expires" in publisher.status().message  # the certificates of this test hold for less than a month


def trouble(secured: Secured, tmp_path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Settings, and what must be said of them."""
    own, ca = secured.certificates.named("lab-3"), {"ca_file": secured.ca}
    port = secured.port
    stranger = Certificates.make(tmp_path / "ca")
    yield {**own, "ca_file": stranger.file("ca.pem")}, "authority that ca_file does not name"
    yield {**own, **ca, "url": f"mqtts://127.0.0.1:{port}"}, "for another host"
    yield ca, "wants a client certificate|closed the connection"
    yield {**ca, **secured.certificates.named("former", days=-1)}, "cert_file has expired|closed the connection"
    yield {**ca, **stranger.named("lab-3")}, "does not trust|does not take|closed the connection"


def test_what_is_wrong_with_certificates_is_one_clear_sentence(
    lab: Any, secured: Secured, until: Any, tmp_path: Path
) -> None:
    for number, (settings, words) in enumerate(trouble(secured, tmp_path)):
        lab.data_dir = tmp_path / str(number)
        lab.data_dir.mkdir()
        publisher = lab.publish(settings.pop("url", secured.url), timing=HASTY, **settings)
        until(lambda: re.search(words, publisher.status().message))  # noqa: B023 - called here
        assert not publisher.status().connected
        assert "\n" not in publisher.status().message
        publisher.stop(0.0)


def test_a_broker_whose_certificate_has_expired_is_not_spoken_to(
    lab: Any, certificates: Certificates, until: Any, tmp_path: Path
) -> None:
    old = Certificates.make(tmp_path / "ca")
    secured_brokers.lab_ca(old.folder, "server", "broker", "DNS:localhost", days=-1)
    with secured_brokers.nats(tmp_path, old) as port:
        publisher = lab.publish(f"mqtts://localhost:{port}", ca_file=old.file("ca.pem"), **old.named("lab-3"))
        until(lambda: "its certificate has expired" in publisher.status().message)
        publisher.stop(0.0)


def test_a_station_without_rights_is_told_so_and_no_row_counts_as_delivered(
    lab: Any, secured: Secured, until: Any
) -> None:
    """Both brokers acknowledge what they throw away: over MQTT 3.1.1 they have no other way than to hang up."""
    writer = lab.begin()
    lab.record(writer, 1, 100)
    publisher = lab.publish(secured.url, ca_file=secured.ca, timing=HASTY, **secured.certificates.named("collector"))
    until(lambda: "does not hand on" in publisher.status().message)
    assert not publisher.status().connected
    assert publisher.status().rows_waiting == {writer.info.run: 100}


def test_home_assistant_finds_the_channels_with_the_rights_it_has_and_no_more_once_it_is_switched_off(
    lab: Any, secured: Secured, connect: Connect
) -> None:
    topic = "homeassistant/device/cycler-kasuga-lab-3/a1/config"
    reader = connect("homeassistant")
    reader.subscribe("homeassistant/#")
    shown = {"ca_file": secured.ca, **secured.certificates.named("lab-3")}
    lab.publish(secured.url, home_assistant=True, **shown)
    assert reader.hears(topic, WAIT_S)
    lab.publishers.pop().stop(5.0)
    late = connect("homeassistant")
    late.subscribe("homeassistant/#")
    assert late.hears(topic, WAIT_S)
    reader.heard.clear()
    lab.publish(secured.url, **shown)
    assert reader.hears(topic, WAIT_S)  # the empty message that takes it back
    last = connect("homeassistant")
    last.subscribe("homeassistant/#")
    connect("witness").publish("homeassistant/mark")
    assert last.hears("homeassistant/mark", WAIT_S)
    assert topic not in last.heard
