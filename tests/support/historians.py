"""Real servers for the historian's tests: a NATS cluster of three with its MQTT gateway, and PostgreSQL; all may be killed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import pytest

from cycler_ctl.broker import find_server, mqtt_answers

HOST = "127.0.0.1"
_POSTGRES = Path("/usr/lib/postgresql/15/bin")
_PAUSE_S = 0.05


def pause() -> None:
    threading.Event().wait(_PAUSE_S)


def ports(count: int) -> list[int]:
    """Free ones; all held until all are known. None that the system gives to whoever connects: it would be gone again."""
    with contextlib.ExitStack() as held:
        found: list[int] = []
        for port in random.SystemRandom().sample(range(20_000, 32_000), 1000):
            with contextlib.suppress(OSError):
                held.enter_context(socket.socket()).bind((HOST, port))
                found.append(port)
            if len(found) == count:
                return found
    raise AssertionError("no port is free")


@dataclass(slots=True)
class Node:
    name: str
    client: int
    route: int
    mqtt: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self, routes: list[int]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        known = ", ".join(f"nats://{HOST}:{port}" for port in routes)
        config = self.folder / "nats.conf"
        config.write_text(
            "\n".join(
                (
                    f"server_name: {self.name}",
                    f'listen: "{HOST}:{self.client}"',
                    f"jetstream {{ store_dir: {json.dumps(str(self.folder))}, sync_interval: always }}",
                    f'cluster {{ name: lab, listen: "{HOST}:{self.route}", routes: [{known}] }}',
                    f'mqtt {{ listen: "{HOST}:{self.mqtt}", stream_replicas: 3 }}',
                    f"log_file: {json.dumps(str(self.folder / 'log'))}",
                )
            ),
            encoding="utf-8",
        )
        self.process = subprocess.Popen([str(find_server()), "-c", str(config)], start_new_session=True)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class Cluster:
    def __init__(self, folder: Path) -> None:
        free = iter(ports(9))
        self.nodes = [Node(f"n{i}", next(free), next(free), next(free), folder / f"n{i}") for i in range(3)]

    @property
    def url(self) -> str:
        return ",".join(f"nats://{HOST}:{node.client}" for node in self.nodes)

    @property
    def mqtt_ports(self) -> list[int]:
        return [node.mqtt for node in self.nodes]

    def start(self, node: Node) -> None:
        node.start([each.route for each in self.nodes])

    def wait(self) -> None:
        """Until MQTT answers: the nodes have found each other and chosen who leads."""
        while not mqtt_answers(self.nodes[0].mqtt, 5.0):
            pause()


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    made = Cluster(folder)
    try:
        for node in made.nodes:
            made.start(node)
        yield made
    finally:
        for node in made.nodes:
            node.kill()


@dataclass(slots=True)
class Postgres:
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    made: list[str] = field(default_factory=list[str])

    def url(self, database: str) -> str:
        return f"postgresql://cycler@{HOST}:{self.port}/{database}"

    def start(self) -> None:
        """Until it takes connections; a killed one's children may hold its memory for a moment."""
        while True:
            self.process = self._run(["postgres", "-D", str(self.folder / "data")])
            while self.process.poll() is None:
                with contextlib.suppress(psycopg.OperationalError):
                    psycopg.connect(self.url("postgres")).close()
                    return
                pause()
            pause()

    def kill(self) -> None:
        """With its children: they would go on for as long as it takes them to notice."""
        if self.process is not None:
            children = psutil.Process(self.process.pid).children(recursive=True)
            self.process.kill()
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()

    def new_database(self, name: str) -> str:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def initialise(self) -> None:
        data = str(self.folder / "data")
        made = self._run(["initdb", "-D", data, "-A", "trust", "-U", "cycler", "--no-sync", "-E", "UTF8", "--locale=C"])
        assert made.wait() == 0, (self.folder / "log").read_text(encoding="utf-8")
        with (self.folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.write(f"port = {self.port}\nlisten_addresses = '{HOST}'\nunix_socket_directories = ''\n")
            # What a killed process has written is the kernel's already: only a power cut would need fsync.
            conf.write("shared_buffers = 64MB\nautovacuum = off\nfsync = off\nlog_min_messages = fatal\n")

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Not as root, which PostgreSQL refuses."""
        whom = "postgres" if os.geteuid() == 0 else None
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [str(_POSTGRES / command[0]), *command[1:]],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                user=whom,
                group=whom,
                extra_groups=[] if whom else None,
            )


def skip_without_postgres() -> None:
    if not (_POSTGRES / "postgres").exists():
        pytest.skip("PostgreSQL 15 is not installed (apt install postgresql-15)")


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """In a folder of its own: the user it must run as cannot enter pytest's."""
    skip_without_postgres()
    folder = Path(tempfile.mkdtemp(prefix="cycler-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    server = Postgres(folder, ports(1)[0])
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
