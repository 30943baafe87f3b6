"""The source of a NATS cluster, against a server that says only what the protocol asks of it before any stream."""

from __future__ import annotations

import asyncio
import contextlib

from cycler_ctl.fleet.nats_source import NatsPlace, NatsSource

INFO = b'INFO {"server_id":"x","version":"2.10.0","proto":1,"headers":true,"max_payload":1048576}\r\n'


async def test_a_collector_that_is_ended_while_its_stream_does_not_answer_leaves_no_connection_behind() -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INFO)
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
            if b"STREAM.INFO" in line:
                asked.set()
        gone.set()
        writer.close()

    async def collect(port: int) -> None:
        async with NatsSource(NatsPlace((f"nats://127.0.0.1:{port}",)), "group", 10):
            raise AssertionError("its stream has not answered")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, asyncio.timeout(30):
        collecting = asyncio.create_task(collect(server.sockets[0].getsockname()[1]))
        await asked.wait()
        collecting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await collecting
        await gone.wait()
