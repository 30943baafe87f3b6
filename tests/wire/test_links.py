"""Links against real sockets and pseudo-terminals."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace

import pytest

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import ConfigError, LinkClosed, LinkError, LinkTimeout
from cycler_ctl.instrument import Link, LinkDefaults
from cycler_ctl.link import threaded
from cycler_ctl.link.opening import open_link
from cycler_ctl.link.threaded import open_threaded
from cycler_ctl.testing.stepclock import StepClock

FAST = LinkDefaults(timeout_s=0.2)
PATIENT = LinkDefaults(timeout_s=1.0)
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(peer: Peer) -> AsyncGenerator[str]:
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await peer(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"TCPIP0::127.0.0.1::{server.sockets[0].getsockname()[1]}::SOCKET"
    finally:
        for writer in writers:
            writer.close()
        server.close()
        await server.wait_closed()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        if line.endswith(b"?\n"):
            writer.write(b"re:" + line)


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()


def late(first_delayed_until: asyncio.Event) -> Peer:
    """The first question is answered only once the event is set; all others at once."""

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readline()
        await first_delayed_until.wait()
        writer.write(b"re:" + first)
        await echo(reader, writer)

    return peer


@contextmanager
def echoing_pty() -> Generator[str]:
    import os
    import pty
    import tty

    ours, theirs = pty.openpty()
    tty.setraw(ours)
    tty.setraw(theirs)

    def serve() -> None:
        held = b""
        while not held.endswith(b"quit\n"):
            held += os.read(ours, 1024)
            while b"?\n" in held:
                line, held = held.split(b"?\n", 1)
                os.write(ours, b"re:" + line + b"?\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield os.ttyname(theirs)
    finally:
        os.write(theirs, b"quit\n")
        thread.join()
        os.close(ours)
        os.close(theirs)


@asynccontextmanager
async def opened(address: str, defaults: LinkDefaults = FAST, backend: str | None = None) -> AsyncGenerator[Link]:
    async with open_link(address, defaults, SystemClock(), backend=backend) as link:
        yield link


BACKENDS = pytest.mark.parametrize("backend", [None, "visa"])


@BACKENDS
async def test_a_query_returns_its_answer_without_the_terminator(backend: str | None) -> None:
    async with listening(echo) as address, opened(address, backend=backend) as link:
        await link.write(b"told")
        assert await link.query(b"A?") == b"re:A?"
        assert link.address == address


@posix_only
@pytest.mark.parametrize("form", ["serial://{}?baudrate=57600", "ASRL{}::INSTR"])
@BACKENDS
async def test_a_serial_port_answers_under_both_its_names(form: str, backend: str | None) -> None:
    with echoing_pty() as port:
        async with opened(form.format(port), PATIENT, backend) as link:
            assert [await link.query(b"A?"), await link.query(b"B?")] == [b"re:A?", b"re:B?"]


@posix_only
async def test_a_serial_port_that_is_open_is_refused_to_a_second_owner() -> None:
    with echoing_pty() as port:
        async with opened(f"serial://{port}"):
            with pytest.raises(LinkError, match="port busy"):
                await asyncio.ensure_future(opened(f"serial://{port}").__aenter__())
        async with opened(f"serial://{port}") as link:
            assert await link.query(b"A?") == b"re:A?"


@BACKENDS
async def test_an_answer_in_pieces_is_put_together(backend: str | None) -> None:
    go_on = asyncio.Event()

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"+1.0")
        await writer.drain()
        asyncio.get_running_loop().call_later(0.02, go_on.set)
        await go_on.wait()
        writer.write(b"E-04\r\n")
        await reader.read()

    async with listening(peer) as address, opened(address, backend=backend) as link:
        assert await link.query(b"A?") == b"+1.0E-04"


@BACKENDS
async def test_after_a_time_out_no_question_is_answered_until_the_link_was_cleared(backend: str | None) -> None:
    answer_now = asyncio.Event()
    async with listening(late(answer_now)) as address, opened(address, backend=backend) as link:
        with pytest.raises(LinkTimeout, match="no whole answer"):
            await link.query(b"LATE?")
        answer_now.set()
        with pytest.raises(LinkTimeout, match="out of step"):
            await link.query(b"A?")
        await link.clear()
        assert await link.query(b"B?") == b"re:B?"


async def test_without_clear_the_late_answer_would_have_been_taken() -> None:
    """Control: the peer of the test above really misleads a client that only waits."""
    answer_now = asyncio.Event()
    async with listening(late(answer_now)) as address:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address.split("::")[2]))
        writer.write(b"LATE?\n")
        answer_now.set()
        writer.write(b"B?\n")
        assert await reader.readline() == b"re:LATE?\n"
        writer.close()
        await writer.wait_closed()


@BACKENDS
async def test_bytes_nobody_asked_for_are_never_an_answer(backend: str | None) -> None:
    chattered = asyncio.Event()

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"re:" + await reader.readline())
        await writer.drain()
        asyncio.get_running_loop().call_later(0.03, writer.write, b"unasked\nunasked\n")
        asyncio.get_running_loop().call_later(0.06, chattered.set)
        await echo(reader, writer)

    async with listening(peer) as address, opened(address, backend=backend) as link:
        assert await link.query(b"A?") == b"re:A?"
        await chattered.wait()
        assert await link.query(b"B?") == b"re:B?"


async def test_an_answer_with_another_glued_to_it_gives_only_the_first() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(b"re:" + line + b"extra\n")

    async with listening(peer) as address, opened(address) as link:
        assert [await link.query(b"A?"), await link.query(b"B?")] == [b"re:A?", b"re:B?"]


async def test_a_peer_that_closes_is_noticed_long_before_the_time_out() -> None:
    loop = asyncio.get_running_loop()
    async with listening(hang_up) as address, opened(address, PATIENT) as link:
        asked_s = loop.time()
        with pytest.raises(LinkClosed):
            await link.query(b"A?")
        assert loop.time() - asked_s < 0.1 * PATIENT.timeout_s
        for attempt in (link.query(b"B?"), link.write(b"B"), link.clear()):
            with pytest.raises(LinkClosed):
                await attempt


async def test_a_link_is_closed_for_good() -> None:
    async with listening(echo) as address:
        async with opened(address) as link:
            pass
        with pytest.raises(LinkClosed, match="closed here"):
            await link.query(b"A?")


@posix_only
async def test_a_serial_link_is_closed_for_good() -> None:
    with echoing_pty() as port:
        async with opened(f"serial://{port}") as link:
            pass
        with pytest.raises(LinkClosed, match="closed here"):
            await link.query(b"A?")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("link ")]


@pytest.mark.parametrize("backend", [None, "visa"])
async def test_where_nobody_listens_opening_says_so(backend: str | None) -> None:
    async with listening(echo) as address:
        pass
    with pytest.raises(LinkClosed, match="nobody listens"):
        async with opened(address, backend=backend):
            pass


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".invalid"])
async def test_a_host_that_does_not_exist_is_a_link_error(host: str) -> None:
    with pytest.raises(LinkError, match="cannot open"):
        async with opened(f"TCPIP0::{host}::5025::SOCKET"):
            pass


async def test_a_port_that_does_not_exist_is_said_to_be_absent() -> None:
    with pytest.raises(LinkClosed, match="no such port"):
        async with opened("serial:///dev/ttyNOT_HERE"):
            pass


async def test_an_instrument_visa_cannot_reach_is_a_link_error() -> None:
    with pytest.raises(LinkError, match="GPIB0::24"):
        async with opened("GPIB0::24::INSTR"):
            pass


async def test_an_unknown_backend_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="visa"):
        open_link("GPIB0::24::INSTR", FAST, SystemClock(), backend="viza")


async def test_a_write_overtakes_queries_that_wait() -> None:
    heard: list[bytes] = []
    first_heard, go_on = asyncio.Event(), asyncio.Event()

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            heard.append(line)
            first_heard.set()
            await go_on.wait()
            if line.endswith(b"?\n"):
                writer.write(b"re:" + line)

    async with listening(peer) as address, opened(address, PATIENT) as link, asyncio.TaskGroup() as tasks:
        tasks.create_task(link.query(b"A?"), name="A")
        await first_heard.wait()
        for name in (b"B?", b"C?"):
            tasks.create_task(link.query(name), name="waiting")
        off = tasks.create_task(link.write(b"OFF"), name="OFF")
        asyncio.get_running_loop().call_soon(go_on.set)
        await off
    assert heard == [b"A?\n", b"OFF\n", b"B?\n", b"C?\n"]


async def test_a_cancelled_query_leaves_the_link_out_of_step() -> None:
    answer_now = asyncio.Event()
    async with listening(late(answer_now)) as address, opened(address) as link:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await link.query(b"LATE?")
        answer_now.set()
        with pytest.raises(LinkTimeout, match="out of step"):
            await link.query(b"A?")
        await link.clear()
        assert await link.query(b"B?") == b"re:B?"


async def test_a_cancelled_waiter_does_not_stop_the_others() -> None:
    async with listening(echo) as address, opened(address) as link:
        queries = [asyncio.ensure_future(link.query(b"Q%d?" % index)) for index in range(5)]
        await asyncio.wait(queries[:1])
        queries[2].cancel()
        answers = await asyncio.gather(*queries, return_exceptions=True)
    assert [answers[index] for index in (0, 1, 3, 4)] == [b"re:Q0?", b"re:Q1?", b"re:Q3?", b"re:Q4?"]
    assert isinstance(answers[2], asyncio.CancelledError)


async def test_a_peer_that_never_falls_quiet_stays_out_of_step() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x" * 1000)
            await writer.drain()  # waits only while the other side has more than it can take: there is always more

    async with listening(babble) as address, opened(address) as link:
        with pytest.raises(LinkTimeout):
            await link.clear()


@posix_only
@BACKENDS
async def test_an_unplugged_serial_port_is_a_closed_link(backend: str | None) -> None:
    import os
    import pty
    import tty

    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    async with opened(f"serial://{os.ttyname(theirs)}", backend=backend) as link:
        os.close(ours)
        os.close(theirs)
        with pytest.raises(LinkClosed, match="lost serial"):
            await link.query(b"A?")


class Stuck:
    """A library that does not come back."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.closed = threading.Event()

    def write(self, message: bytes) -> None:
        """It takes everything."""

    def read(self) -> bytes:
        self.released.wait(10)
        return b""

    def discard(self) -> None:
        """There is nothing."""

    def close(self) -> None:
        self.closed.set()

    clear = discard


async def test_a_library_that_hangs_costs_one_link_and_nobody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threaded, "GRACE_S", 0.05)
    port = Stuck()
    loop = asyncio.get_running_loop()
    asked_s = loop.time()
    async with open_threaded("stuck", replace(FAST, timeout_s=0.05), SystemClock(), lambda: port) as link:
        with pytest.raises(LinkClosed, match="hangs"):
            await link.query(b"A?")
        with pytest.raises(LinkClosed, match="hangs"):
            await link.write(b"OFF")
    assert loop.time() - asked_s < 5
    port.released.set()


async def test_a_library_that_hung_releases_its_port_once_it_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the port is busy for this program itself, which then cannot open it to turn the output off."""
    monkeypatch.setattr(threaded, "GRACE_S", 0.05)
    port = Stuck()
    async with open_threaded("stuck", replace(FAST, timeout_s=0.05), SystemClock(), lambda: port) as link:
        with pytest.raises(LinkClosed, match="hangs"):
            await link.query(b"A?")
    assert not port.closed.is_set()
    port.released.set()
    assert await asyncio.to_thread(port.closed.wait, 10)


async def test_what_a_library_raises_at_opening_is_a_link_error() -> None:
    def explode() -> Stuck:
        raise RuntimeError("no licence")

    with pytest.raises(LinkError, match="no licence"):
        async with open_threaded("dongle", FAST, SystemClock(), explode):
            pass


async def test_framing_by_length_needs_no_terminator() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while frame := await reader.readexactly(2):
            writer.write(frame + b"\n\r")

    defaults = replace(FAST, write_terminator=b"", strip=b"", reply_length=lambda held: 4 if len(held) >= 4 else None)
    for backend in (None, "visa"):
        async with listening(peer) as address, opened(address, defaults, backend) as link:
            assert await link.query(b"\x01\x02") == b"\x01\x02\n\r"


async def test_a_reading_is_stamped_with_the_injected_clock() -> None:
    clock = StepClock()
    async with listening(echo) as address, open_link(address, FAST, clock) as link:
        assert link.now() == clock.now() == 0.0
