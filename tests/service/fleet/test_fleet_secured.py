"""The shipped cluster: three nodes that know everybody by a certificate, a station and a collector with no right too many."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import historians
import nats
import pytest
import secured_brokers
from fleet_station import Station, collecting, complete, rows_of
from nats.errors import Error as NatsError
from secured_brokers import DEPLOY, Certificates, lab_ca, replaced

from cycler_ctl.broker import find_server
from cycler_ctl.config import MqttSettings
from cycler_ctl.fleet.nats_source import STREAM
from cycler_ctl.fleet.settings import BrokerSettings

CONFIG = (DEPLOY / "nats" / "cluster.conf").read_text(encoding="utf-8")
USERS = re.compile(r'\{ user: "CN=([\w-]+)", permissions: \{(.*?)\} \} \}', re.DOTALL)


@dataclass(frozen=True)
class Nodes:
    certificates: Certificates
    clients: list[int]
    mqtt: list[int]

    @property
    def origin(self) -> str:
        return ",".join(f"tls://localhost:{port}" for port in self.clients)

    def tls(self, name: str | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.certificates.file("ca.pem"))
        if name is not None:
            own = self.certificates.named(name)
            context.load_cert_chain(own["cert_file"], own["key_file"])
        return context


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    certificates = Certificates.make(tmp_path / "ca")
    ports = historians.ports(9)
    names = ("nats-1", "nats-2", "nats-3")
    with contextlib.ExitStack() as running:
        for number, name in enumerate(names):
            lab_ca(certificates.folder, "node", name, "DNS:localhost")
            folder = tmp_path / name
            folder.mkdir()
            for file, as_file in (("ca.pem", "ca.pem"), (f"{name}.pem", "node.pem"), (f"{name}.key", "node.key")):
                shutil.copy(certificates.file(file), folder / as_file)
            changes = {
                "/etc/nats/": f"{folder}/",
                "/var/lib/nats": str(folder),
                "/var/log/nats/": f"{folder}/",
                "0.0.0.0:4222": f"127.0.0.1:{ports[number]}",
                "0.0.0.0:6222": f"127.0.0.1:{ports[3 + number]}",
                "0.0.0.0:8883": f"127.0.0.1:{ports[6 + number]}",
                **{f"{other}.lab.example:6222": f"localhost:{ports[3 + n]}" for n, other in enumerate(names)},
            }
            (folder / "cluster.conf").write_text(replaced(CONFIG, changes), encoding="utf-8")
            command = ["env", f"NODE={name}", str(find_server()), "-c", str(folder / "cluster.conf")]
            running.enter_context(secured_brokers.serving(command, folder, [ports[number]]))
        yield Nodes(certificates, ports[:3], ports[6:])


async def test_station_and_collector_have_every_right_they_need_in_the_shipped_cluster_and_no_stranger_is_let_in(
    nodes: Nodes, new_database: Callable[[], str], tmp_path: Path
) -> None:
    station, url = Station("lab-3", tmp_path, site="kasuga"), new_database()
    own, historian = nodes.certificates.named("lab-3"), nodes.certificates.named("historian")
    ca = nodes.certificates.file("ca.pem")
    urls = tuple(f"mqtts://localhost:{port}" for port in nodes.mqtt)
    broker = BrokerSettings(
        ca_file=ca, certificate_file=historian["cert_file"], key_file=historian["key_file"], replicas=3
    )
    early, late = station.run(200, "0001"), station.run(150, "0002")
    async with station.publishing(settings=MqttSettings(url=urls, ca_file=ca, **own)) as publisher:
        await station.delivered(publisher, early, late)  # to nobody: the collector has to ask for all of it
        async with collecting(url, nodes.origin, "historian", broker):
            await complete(url, "lab-3", 2)
            async with asyncio.timeout(20):
                while not publisher.status().confirmed:
                    await asyncio.to_thread(historians.pause)
    assert [rows_of(url, "lab-3", run) for run in (early, late)] == [station.rows(early), station.rows(late)]
    answers = [await asyncio.to_thread(answer, nodes, name) for name in ("historian", "stranger", None)]
    assert answers[0].startswith(b"+OK")
    assert b"Authorization Violation" in answers[1]
    assert answers[2] == b""
    async with await nats.connect(nodes.origin.split(","), tls=nodes.tls("historian")) as client:
        stream = client.jetstream(timeout=1)
        assert (await stream.stream_info(STREAM)).config.num_replicas == 3
        with pytest.raises(NatsError):  # what it would write as a station goes nowhere
            await stream.publish("$MQTT.msgs.cycler.v1.kasuga.lab-3.channel.a1.samples", b"{}")
        with pytest.raises(NatsError):
            await stream.delete_stream(STREAM)


def answer(nodes: Nodes, name: str | None) -> bytes:
    """What a client with this certificate is told; nothing where the connection was cut."""
    with socket.create_connection(("localhost", nodes.clients[0]), 5) as plain:
        plain.recv(4096)  # INFO
        try:
            with nodes.tls(name).wrap_socket(plain, server_hostname="localhost") as secured:
                secured.sendall(b'CONNECT {"verbose":true}\r\n')
                return secured.recv(4096)
        except OSError:
            return b""


def test_who_is_in_both_shipped_configurations_of_nats_has_the_same_rights() -> None:
    cluster = dict(USERS.findall(CONFIG))
    single = dict(USERS.findall((DEPLOY / "nats" / "nats.conf").read_text(encoding="utf-8")))
    both = cluster.keys() & single.keys()
    assert both >= {"lab-3", "viewer"}
    assert {name: cluster[name] for name in both} == {name: single[name] for name in both}
