"""Simulated instruments over real sockets and pseudo-terminals, with faults, as a bench and as a process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import pytest

from sim_hardware.bench import Place, make_instruments, make_oven, make_smu, open_bench, read_bench
from sim_hardware.control import Control, serve_control
from sim_hardware.faults import Line, LineFault
from sim_hardware.server import Endpoint, serve_pty, serve_tcp
from sim_hardware.simtime import SimTime

pytestmark = pytest.mark.not_our_driver

posix = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")


def port_of(address: str) -> int:
    board, host, port, kind = address.split("::")
    assert (board, host, kind) == ("TCPIP0", "127.0.0.1", "SOCKET")
    return int(port)


class Client:
    """A raw TCP client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, message: bytes) -> bytes:
        self.writer.write(message + b"\n")
        return await asyncio.wait_for(self.reader.readline(), 5.0)

    async def is_closed(self) -> bool:
        try:
            return await asyncio.wait_for(self.reader.read(1), 5.0) == b""
        except ConnectionError:
            return True

    async def is_silent(self, seconds: float = 0.1) -> bool:
        try:
            await asyncio.wait_for(self.reader.read(1), seconds)
        except TimeoutError:
            return True
        return False


@contextlib.asynccontextmanager
async def connected(endpoint: Endpoint) -> AsyncGenerator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(endpoint.address))
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.fixture
async def endpoint() -> AsyncGenerator[Endpoint]:
    now = asyncio.get_running_loop().time
    async with serve_tcp(Line(make_smu(Place("smu", cell="battery"), 1, now), seed=1)) as served:
        yield served


async def test_a_query_over_tcp_is_answered(endpoint: Endpoint) -> None:
    async with connected(endpoint) as client:
        assert b"MODEL 2400" in await client.ask(b"*IDN?")
        assert await client.ask(b":OUTP?;:OUTP:SMOD?") == b"0;NORM\n"


def test_the_servers_work_on_uvloop_too() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def ask() -> None:
        time = SimTime(asyncio.get_running_loop().time)
        async with (
            open_bench(1, time, (Place("smu", listen="127.0.0.1:0"),)) as bench,
            serve_control(Control(bench, time)) as port,
        ):
            async with connected(Endpoint(bench["smu"].address, bench["smu"].line)) as client:
                assert b"MODEL 2400" in await client.ask(b"*IDN?")
            async with connected(Endpoint(f"TCPIP0::127.0.0.1::{port}::SOCKET", bench["smu"].line)) as client:
                assert json.loads(await client.ask(b'{"do": "truth"}'))["ok"]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(ask())


async def test_a_second_client_is_turned_away_and_the_first_goes_on(endpoint: Endpoint) -> None:
    async with connected(endpoint) as first:
        assert await first.ask(b"*OPC?") == b"1\n"
        async with connected(endpoint) as second:
            second.writer.write(b":OUTP ON\n")
            assert await second.is_closed()
        assert await first.ask(b":OUTP?") == b"0\n"


async def test_the_next_client_is_served_when_the_first_has_gone(endpoint: Endpoint) -> None:
    for _ in range(5):
        async with connected(endpoint) as client:
            assert await client.ask(b"*OPC?") == b"1\n"


async def test_a_client_that_comes_while_the_first_is_dying_is_served(endpoint: Endpoint) -> None:
    async with connected(endpoint) as first:
        assert await first.ask(b"*OPC?") == b"1\n"
        async with connected(endpoint) as second:
            second.writer.write(b"*OPC?\n")
            first.writer.transport.abort()
            assert await asyncio.wait_for(second.reader.readline(), 5.0) == b"1\n"


async def test_half_a_message_of_a_lost_client_is_forgotten(endpoint: Endpoint) -> None:
    async with connected(endpoint) as client:
        assert await client.ask(b"*OPC?") == b"1\n"
        client.writer.write(b":NONSENSE;")
        await client.writer.drain()
    async with connected(endpoint) as client:
        assert await client.ask(b":SYST:ERR?") == b'0,"No error"\n'


async def test_leaving_closes_the_port_and_every_connection() -> None:
    now = asyncio.get_running_loop().time
    async with serve_tcp(Line(make_smu(Place("smu"), 1, now))) as endpoint:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(endpoint.address))
        writer.write(b"*OPC?\n")
        assert await reader.readline() == b"1\n"
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5.0) == b""
    writer.close()
    with pytest.raises(OSError, match=r".+"):
        await asyncio.open_connection("127.0.0.1", port_of(endpoint.address))


@pytest.mark.parametrize("kind", ["drop", "lose", "silence", "merge"])
async def test_a_lost_exchange_is_silence_and_the_next_is_answered(endpoint: Endpoint, kind: str) -> None:
    endpoint.line.inject(LineFault(kind, match=b"IDN"))
    async with connected(endpoint) as client:
        client.writer.write(b"*IDN?\n")
        assert await client.is_silent()
        answer = await client.ask(b"*OPC?")
        if kind == "merge":
            assert b"MODEL 2400" in answer
            answer = await client.reader.readline()
        assert answer == b"1\n"
        assert endpoint.line.hits == {kind: 1}


async def test_a_late_answer_arrives_after_the_next_question_and_before_its_answer(endpoint: Endpoint) -> None:
    endpoint.line.inject(LineFault("delay", match=b"IDN", seconds=0.3))
    async with connected(endpoint) as client:
        client.writer.write(b"*IDN?\n")
        assert await client.is_silent(0.02)
        assert b"MODEL 2400" in await client.ask(b"*OPC?")  # a wire keeps its order
        assert await client.reader.readline() == b"1\n"


async def test_a_garbled_answer_is_as_long_and_different(endpoint: Endpoint) -> None:
    async with connected(endpoint) as client:
        good = await client.ask(b"*IDN?")
        endpoint.line.inject(LineFault("garble"))
        bad = await client.ask(b"*IDN?")
        assert bad != good
        assert len(bad) == len(good)
        assert await client.ask(b"*IDN?") == good


async def test_a_split_answer_comes_whole_in_the_end_and_a_truncated_one_does_not(endpoint: Endpoint) -> None:
    async with connected(endpoint) as client:
        good = await client.ask(b"*IDN?")
        endpoint.line.inject(LineFault("split"))
        assert await client.ask(b"*IDN?") == good
        endpoint.line.inject(LineFault("truncate"))
        client.writer.write(b"*IDN?\n")
        part = await asyncio.wait_for(client.reader.read(1000), 5.0)
        assert good.startswith(part)
        assert not part.endswith(b"\n")


async def test_disconnect_closes_after_the_command_was_carried_out(endpoint: Endpoint) -> None:
    endpoint.line.inject(LineFault("disconnect", match=b"OUTP"))
    async with connected(endpoint) as client:
        client.writer.write(b":OUTP ON\n")
        assert await client.is_closed()
    async with connected(endpoint) as client:
        assert await client.ask(b":OUTP?") == b"1\n"


async def test_a_reboot_forgets_high_impedance_and_drains_the_cell(endpoint: Endpoint) -> None:
    async with connected(endpoint) as client:
        assert await client.ask(b":OUTP:SMOD HIMP;:OUTP:SMOD?") == b"HIMP\n"
        endpoint.line.inject(LineFault("reboot"))
        client.writer.write(b"*OPC?\n")
        assert await client.is_silent()
        assert await client.ask(b":OUTP:SMOD?") == b"NORM\n"
        current_A = endpoint.line.instrument.truth()["current_A"]
        assert isinstance(current_A, float)
        assert current_A < 0.0


async def test_a_fault_of_a_reply_waits_for_a_reply(endpoint: Endpoint) -> None:
    endpoint.line.inject(LineFault("drop"))
    async with connected(endpoint) as client:
        client.writer.write(b":OUTP OFF\n")
        assert await client.is_silent(0.02)
        assert endpoint.line.hits == {}
        client.writer.write(b"*OPC?\n")
        assert await client.is_silent(0.02)
        assert endpoint.line.hits == {"drop": 1}


async def test_a_fault_without_count_stays_until_cleared(endpoint: Endpoint) -> None:
    endpoint.line.inject(LineFault("silence", count=None))
    async with connected(endpoint) as client:
        for _ in range(3):
            client.writer.write(b"*OPC?\n")
            assert await client.is_silent(0.03)
        endpoint.line.clear_faults()
        assert await client.ask(b"*OPC?") == b"1\n"
    with pytest.raises(ValueError, match="no fault"):
        endpoint.line.inject(LineFault("fire"))


def open_terminal(address: str) -> int:
    assert address.startswith("ASRL/dev/")
    return os.open(address.removeprefix("ASRL").removesuffix("::INSTR"), os.O_RDWR | os.O_NOCTTY)


def exchange(fd: int, message: bytes) -> bytes:
    os.write(fd, message)
    reply = b""
    while not reply.endswith(b"\n"):
        reply += os.read(fd, 4096)
    return reply


@posix
async def test_a_pseudo_terminal_carries_bytes_unchanged_and_survives_its_clients() -> None:
    now = asyncio.get_running_loop().time
    async with serve_pty(Line(make_smu(Place("smu"), 1, now))) as endpoint:
        for _ in range(2):
            fd = open_terminal(endpoint.address)
            try:
                reply = await asyncio.wait_for(asyncio.to_thread(exchange, fd, b":OUTP O\x03*IDN?\r\n"), 5.0)
                assert b"MODEL 2400" in reply
                assert reply.count(b"\n") == 1
            finally:
                os.close(fd)


@posix
async def test_an_unread_pseudo_terminal_does_not_block_the_instrument() -> None:
    now = asyncio.get_running_loop().time
    line = Line(make_smu(Place("smu"), 1, now))
    async with serve_pty(line) as endpoint:
        fd = open_terminal(endpoint.address)
        try:
            for _ in range(300):
                await asyncio.to_thread(os.write, fd, b"*IDN?\n")
            async with asyncio.timeout(10.0):
                while len(line.instrument.log) < 300:
                    await asyncio.to_thread(os.fstat, fd)
            got = await asyncio.to_thread(read_lines, fd, 300)
            assert got.count(b"MODEL 2400") == 300
        finally:
            os.close(fd)


def read_lines(fd: int, count: int) -> bytes:
    got = b""
    while got.count(b"\n") < count:
        got += os.read(fd, 65536)
    return got


def read_oven(port: int) -> tuple[list[int], bool]:
    """Ask the oven with somebody else's Modbus client."""
    from pymodbus import FramerType
    from pymodbus.client import ModbusTcpClient

    with ModbusTcpClient("127.0.0.1", port=port, framer=FramerType.RTU, timeout=3) as client:
        client.write_register(24, 1100, device_id=1)
        registers = list(client.read_holding_registers(1, count=5, device_id=1).registers)
        return registers, client.read_holding_registers(7, device_id=1).isError()


async def test_an_independent_modbus_client_reads_and_writes_the_oven() -> None:
    now = asyncio.get_running_loop().time
    async with serve_tcp(Line(make_oven(Place("oven", "eurotherm"), 1, now))) as endpoint:
        registers, refused = await asyncio.to_thread(read_oven, port_of(endpoint.address))
    assert registers[0] == pytest.approx(1200, abs=2)
    assert registers[1] == registers[4] == 1100
    assert refused


async def test_the_bench_offers_five_cells_and_their_oven_and_tells_the_truth() -> None:
    now = 0.0
    async with open_bench(3, lambda: now) as bench:
        assert [one.cell for one in bench.smus] == list("abcde")
        assert len({one.serial for one in bench.smus}) == 5
        assert len({one.address for one in bench.instruments.values()}) == 6
        assert bench["oven1"].model == "eurotherm"
        if sys.platform != "win32":
            assert any(one.address.startswith("ASRL") for one in bench.smus)
        one = bench["smu1"]
        async with connected(Endpoint(one.address, one.line)) as client:
            await client.ask(b":OUTP:SMOD HIMP;*OPC?")
        assert one.truth()["output_on"] is False
        assert one.truth()["off_mode"] == "HIMP"
        assert one.command_log() == [(0.0, b":OUTP:SMOD HIMP;*OPC?\n")]


class Now:
    """A time that is set."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def __call__(self) -> float:
        return self.at_s


def test_cells_follow_their_oven_and_stop_conducting_below_the_transition() -> None:
    now = Now()
    made = make_instruments((Place("smu", cell="a"), Place("oven", "eurotherm")), 1, now)
    smu = made["smu"]
    smu.receive(b":OUTP:SMOD HIMP;:SOUR:FUNC CURR;:SOUR:CURR 1e-4;:SENS:VOLT:PROT 5;:OUTP ON\n")
    assert smu.truth()["limited"] is False
    made["oven"].set_fault("setpoint_C", 100.0)
    for now.at_s in range(0, 7200, 60):
        smu.receive(b"*OPC?\n")
    assert smu.truth()["limited"] is True


def test_one_seed_gives_one_history_whatever_else_is_on_the_bench() -> None:
    def readings(places: tuple[Place, ...]) -> bytes:
        now = Now()
        smu = make_instruments(places, 5, now)["smu2"]
        smu.receive(b":OUTP:SMOD HIMP;:SOUR:VOLT:RANG 20;:SOUR:VOLT 0.2;:OUTP ON\n")
        found = b""
        for now.at_s in range(0, 500, 5):
            found += smu.receive(b":READ?\n")
        return found

    both = (Place("smu1"), Place("smu2", cell="b"))
    assert readings(both) == readings(both[1:])


def test_a_bench_file_is_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    path.write_text('seed = 4\nspeed = 60\n[instruments.smu1]\ncell = "d"\n[instruments.o]\nmodel = "eurotherm"\n')
    bench = read_bench(path)
    assert (bench.seed, bench.speed) == (4, 60.0)
    assert bench.places == (Place("smu1", cell="d"), Place("o", "eurotherm"))
    for wrong in ("sped = 1", "[instruments.a]\nmodel = 'x'", "[instruments.a]\nslave = '1'", "[instruments.a]\nx = 1"):
        path.write_text(wrong)
        with pytest.raises(ValueError, match=r"unknown|understood|no model"):
            read_bench(path)


async def test_the_control_port_refuses_nonsense_with_a_reason() -> None:
    time = SimTime(asyncio.get_running_loop().time, 0.0)
    async with open_bench(1, time, (Place("a", listen="127.0.0.1:0"), Place("b", listen="127.0.0.1:0"))) as bench:
        control = Control(bench, time)
        for line in (
            b"{",
            b"[]",
            b"1",
            b"{}",
            b'{"do": "dance"}',
            b'{"do": ["truth"]}',
            b'{"do": "truth"}',
            b'{"do": "truth", "name": "x"}',
            b'{"do": "truth", "name": []}',
            b'{"do": "jump", "seconds": -1}',
            b'{"do": "fault", "name": "a", "kind": "fire"}',
        ):
            answer = json.loads(control.answer(line))
            assert answer["ok"] is False, line
            assert answer["error"]


def test_simulated_time_keeps_its_value_when_its_speed_changes() -> None:
    real_s = 100.0
    time = SimTime(lambda: real_s, 10.0)
    real_s = 101.0
    assert time() == 10.0
    time.set_speed(1000.0)
    assert time() == 10.0
    time.jump(5.0)
    real_s = 102.0
    assert time() == 1015.0


@contextlib.contextmanager
def simulator(*arguments: str) -> Generator[tuple[dict[str, Any], subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "sim_hardware.cli", *arguments, "--until-stdin-closes"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline()), process
        finally:
            process.stdin.close()
            assert process.wait(10.0) == 0


class ControlPort:
    """A client of the control port."""

    def __init__(self, sock: socket.socket) -> None:
        self._lines = sock.makefile("rwb")

    def close(self) -> None:
        self._lines.close()

    def ask(self, **request: object) -> dict[str, Any]:
        self._lines.write(json.dumps(request).encode() + b"\n")
        self._lines.flush()
        answer: dict[str, Any] = json.loads(self._lines.readline())
        return answer


def test_the_command_answers_on_a_raw_socket_and_on_its_control_port() -> None:
    with (
        simulator("keithley-2400", "--cell", "battery", "--seed", "7", "--speed", "0") as (where, _),
        socket.create_connection(("127.0.0.1", port_of(where["address"])), 5.0) as wire,
        socket.create_connection(("127.0.0.1", where["control"]), 5.0) as port,
        contextlib.closing(ControlPort(port)) as control,
    ):
        wire.sendall(b"*IDN?\n")
        assert b"MODEL 2400" in wire.recv(1000)
        assert control.ask(do="truth")["truth"]["off_mode"] == "NORM"
        assert control.ask(do="jump", seconds=3600.0) == {"ok": True, "at_s": 3600.0, "speed": 0.0}
        assert control.ask(do="truth")["truth"]["charge_C"] == pytest.approx(-1.8e-3)
        assert control.ask(do="log")["log"] == [[0.0, "*IDN?\n"]]
        assert control.ask(do="fault", kind="drop", match="IDN")["ok"]
        wire.sendall(b"*IDN?\n*OPC?\n")
        assert control.ask(do="clear")["ok"]
        assert control.ask(do="fault", kind="lead", value="open")["ok"]
        assert control.ask(do="truth")["truth"]["current_A"] == 0.0
        assert control.ask(do="fault", kind="fire")["ok"] is False


@posix
def test_the_command_ends_cleanly_when_it_is_terminated() -> None:
    command = [sys.executable, "-m", "sim_hardware.cli", "eurotherm"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "address" in json.loads(process.stdout.readline())
        process.terminate()
        assert process.wait(10.0) == 0
        assert process.stderr.read() == ""


def test_the_command_serves_a_whole_bench(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    path.write_text('[instruments.smu1]\n[instruments.oven1]\nmodel = "eurotherm"\n')
    with simulator("bench", str(path)) as (where, _):
        assert list(where["instruments"]) == ["smu1", "oven1"]
        assert where["address"] == where["instruments"]["smu1"]["address"]


@pytest.mark.parametrize("arguments", [["bench"], ["keithley-2400", "--listen", "nowhere"], ["bench", "missing.toml"]])
def test_the_command_says_what_is_wrong(arguments: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sim_hardware.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("cycler-sim: ")
    assert "Traceback" not in done.stderr
