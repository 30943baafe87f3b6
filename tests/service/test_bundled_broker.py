"""The bundled broker as a real child process."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from importlib import metadata
from pathlib import Path

import pytest

from cycler_ctl.broker import HOST, Broker, BrokerError, config_text, find_server, free_port, mqtt_answers
from cycler_ctl.errors import ConfigError


def port_of(broker: Broker) -> int:
    return int(broker.url.rpartition(":")[2])


def test_a_started_broker_answers_mqtt_on_loopback_and_a_stopped_one_does_not(tmp_path: Path) -> None:
    broker = Broker(tmp_path, port=0)
    with broker:
        port = port_of(broker)
        assert broker.url == f"mqtt://{HOST}:{port}"
        assert broker.alive()
        assert mqtt_answers(port)
    assert not broker.alive()
    assert not mqtt_answers(port)


async def test_it_starts_and_ends_in_an_event_loop_too(tmp_path: Path) -> None:
    async with Broker(tmp_path, port=0) as broker:
        assert mqtt_answers(port_of(broker))
    assert not broker.alive()
    with Broker(tmp_path, port=0) as another:
        assert another.alive()


def test_it_may_be_started_in_one_thread_and_stopped_in_another(tmp_path: Path) -> None:
    broker = Broker(tmp_path, port=0)
    thread = threading.Thread(target=broker.start)
    thread.start()
    thread.join()
    assert broker.alive()
    broker.stop()
    with Broker(tmp_path, port=0) as another:
        assert another.alive()


def test_a_port_in_use_gives_the_next_free_one(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        busy = taken.getsockname()[1]
        with Broker(tmp_path, port=busy) as broker:
            assert port_of(broker) != busy


def test_two_brokers_never_run_on_one_store(tmp_path: Path) -> None:
    with Broker(tmp_path, port=0), pytest.raises(BrokerError, match="already runs"):
        Broker(tmp_path, port=0).start()


def test_a_killed_broker_is_seen_and_starts_again_on_the_same_port(tmp_path: Path) -> None:
    with Broker(tmp_path, port=0) as broker:
        url, pid = broker.url, broker.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
        pause = threading.Event()
        while broker.alive():
            pause.wait(0.01)
        broker.start()
        assert broker.url == url
        assert broker.pid != pid
        assert mqtt_answers(port_of(broker))


OWNER = """
import os, sys
from pathlib import Path
from cycler_ctl.broker import Broker
broker = Broker(Path(sys.argv[1]), port=0)
broker.start()
print(broker.pid, broker.url.rpartition(':')[2], flush=True)
sys.stdin.read()
"""


def test_the_left_over_of_a_killed_owner_is_ended_at_the_next_start(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        left_over, port = map(int, owner.stdout.readline().split())
        owner.kill()
    assert mqtt_answers(port)  # it does outlive its owner: else this test shows nothing
    with Broker(tmp_path, port=0) as broker:
        assert broker.pid != left_over
        assert not mqtt_answers(port)


def test_a_pid_file_that_names_a_stranger_harms_nobody(tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    (tmp_path / "broker" / "pid").write_text(str(os.getpid()), encoding="ascii")
    with Broker(tmp_path, port=0) as broker:
        assert broker.alive()


def test_a_broker_that_cannot_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    (tmp_path / "broker" / "store").write_text("a file where a folder belongs", encoding="ascii")
    broker = Broker(tmp_path, port=0)
    with pytest.raises(BrokerError, match="storage directory is not a directory"):
        broker.start()
    assert not broker.alive()


def test_a_data_folder_that_cannot_be_one_is_a_broker_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file", encoding="ascii")
    with pytest.raises(BrokerError, match="cannot use"):
        Broker(tmp_path / "data", port=0).start()


def test_without_the_extra_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    with pytest.raises(ConfigError, match=r"cycler-ctl\[broker\]"):
        find_server()


def test_the_configuration_has_forward_slashes_and_listens_on_loopback_only() -> None:
    text = config_text(Path("a b/store"), Path("a b/log"), 1883)
    assert '"a b/store"' in text
    assert text.count("127.0.0.1") == 2
    assert "http" not in text


def test_it_takes_no_more_connections_and_no_larger_messages_than_a_computer_needs(tmp_path: Path) -> None:
    text = config_text(tmp_path / "store", tmp_path / "log", 1883)
    for limit in ("max_payload: 1MB", "max_connections: 128", "max_file_store: 1GB", "max_memory_store: 64MB"):
        assert limit in text
    with Broker(tmp_path, port=0) as broker, contextlib.ExitStack() as stack:
        port = port_of(broker)
        links = [stack.enter_context(socket.create_connection((HOST, port), timeout=5.0)) for _ in range(128)]
        for link in links:
            link.sendall(CONNECT)
            assert link.recv(4) == b"\x20\x02\x00\x00"
        assert not mqtt_answers(port)
        assert broker.alive()
        large = links[0]
        large.sendall(b"\x30" + b"\x80\x80\x80\x01" + b"\x00\x01a")  # PUBLISH of 2 MiB on topic "a"
        with contextlib.suppress(OSError):  # it may hang up while we still send
            large.sendall(bytes(2 * 1024 * 1024 - 3))
        with contextlib.suppress(ConnectionResetError):
            assert large.recv(1) == b""
        assert broker.alive()


CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"


def test_a_free_port_is_the_wanted_one() -> None:
    port = free_port(0)
    assert free_port(port) == port
