"""A lab in processes: cycler-sim as the instruments, cycler-ctl as a person would start it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from cycler_ctl.config import load_config
from cycler_ctl.terminal.client import Client, UnreachableError
from protocols.shipped import library

SOON_S = 30.0
POLL_S = 0.1


async def until(holds: Callable[[], bool], seconds: float = SOON_S) -> float:
    """Wait until a condition holds; returns how long that took."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    never = asyncio.Event()
    while not holds():
        if loop.time() - began_s > seconds:
            pytest.fail(f"not within {seconds} s")
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await never.wait()
    return loop.time() - began_s


def ask_bench(control: int, **request: object) -> dict[str, Any]:
    """One request to the control port of a cycler-sim."""
    with socket.create_connection(("127.0.0.1", control), timeout=10) as link, link.makefile("rwb") as file:
        file.write(json.dumps(request).encode() + b"\n")
        file.flush()
        answer: dict[str, Any] = json.loads(file.readline())
    assert answer["ok"], answer
    return answer


@dataclass
class Bench:
    """The instruments' process; ``truth`` is what the instrument itself knows."""

    process: subprocess.Popen[bytes]
    control: int
    instruments: dict[str, dict[str, str]]

    def ask(self, **request: object) -> dict[str, Any]:
        return ask_bench(self.control, **request)

    def truth(self, name: str = "smu1") -> dict[str, Any]:
        found: dict[str, Any] = self.ask(do="truth", name=name)["truth"]
        return found


@dataclass
class Lab:
    """A folder with a station.toml, and the commands run in it."""

    folder: Path
    bench: Bench
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cycler_ctl.cli", *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def launch(self, *words: str) -> subprocess.Popen[bytes]:
        log = (self.folder / "log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "-m", "cycler_ctl.cli", *words],
            cwd=self.folder,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        log.close()
        self.processes.append(process)
        return process

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    async def serve(self) -> subprocess.Popen[bytes]:
        """The service, once it answers and its instruments are connected."""
        process = self.launch("serve")
        await until(lambda: process.poll() is not None or self.ready())
        assert process.poll() is None, self.log()
        return process

    def channels(self) -> list[dict[str, Any]] | None:
        """None while no service answers."""
        try:
            return [dict(one) for one in Client(load_config(self.folder / "station.toml")).list("/api/v1/channels")]
        except UnreachableError:
            return None

    def ready(self) -> bool:
        found = self.channels()
        return found is not None and all(one["energised"] is False for one in found)

    def answers(self) -> bool:
        return self.channels() is not None

    def channel(self, name: str = "a1") -> dict[str, Any]:
        found = self.channels()
        assert found is not None, self.log()
        return next(one for one in found if one["channel"] == name)

    def station_pid(self, guardian: subprocess.Popen[bytes]) -> int:
        """The station under a guardian."""
        children = psutil.Process(guardian.pid).children()
        return next(child.pid for child in children if "cycler_ctl.daemon" in " ".join(child.cmdline()))

    def run_dir(self) -> Path:
        (found,) = (self.data / "runs").iterdir()
        return found


STATION = """
[station]
name = "lab-3"
data_dir = "data"

[mqtt]
{mqtt}

[http]
listen = "127.0.0.1:{port}"

{instruments}
[channels.a1]
instrument = "smu1"
sample_every = "{sample_every}"
limits = {{ voltage = "-0.5 V to 5 V", current = "10 mA", temperature = "20 °C to 140 °C", step_capacity = "20 mAh" }}
temperature = "oven1"
"""
INSTRUMENT = '[instruments.{name}]\ndriver = "{driver}"\naddress = "{address}"\n{more}\n'


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


@contextmanager
def open_bench(folder: Path, listen: str = "127.0.0.1:0", speed: float = 1.0, cell: str = "c") -> Generator[Bench]:
    file = folder / "bench.toml"
    file.write_text(
        f'speed = {speed}\n[instruments.smu1]\nmodel = "keithley-2400"\ncell = "{cell}"\nlisten = "{listen}"\n'
        'serial = "1234567"\n[instruments.oven1]\nmodel = "eurotherm"\n'
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "sim_hardware.cli", "bench", str(file), "--until-stdin-closes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        said = json.loads(process.stdout.readline())
        yield Bench(process, said["control"], said["instruments"])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stdin.close()


def make_lab(
    folder: Path, bench: Bench, *, mqtt: str = "enabled = false", more: str = "", sample_every: str = "0.2 s"
) -> Lab:
    instruments = "".join(
        INSTRUMENT.format(name=name, driver=one["model"], address=one["address"], more=more if name == "smu1" else "")
        for name, one in bench.instruments.items()
    )
    text = STATION.format(mqtt=mqtt, port=free_port(), instruments=instruments, sample_every=sample_every)
    (folder / "station.toml").write_text(text, encoding="utf-8")
    shutil.copy(library()["fig_s3_c"], folder / "fig_s3_c.yaml")
    quick = (folder / "fig_s3_c.yaml").read_text(encoding="utf-8").replace("- rest: 1 h", "- rest: 1 s")
    (folder / "quick.yaml").write_text(quick.replace("every 30 s or 5 mV", "every 0.2 s"), encoding="utf-8")
    return Lab(folder, bench)


def end(lab: Lab) -> None:
    """Nothing of a lab outlives its test, however the test ended."""
    for process in lab.processes:
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.kill()
        process.wait()
    # a station whose guardian was killed has no parent any more
    for left in psutil.process_iter(["cmdline"]):
        if str(lab.folder) in " ".join(left.info["cmdline"] or ()) and left.pid != os.getpid():
            with suppress(psutil.NoSuchProcess):
                left.kill()
