"""Messages on their way to real servers on this computer: mail, HTTP, one that refuses, one that never answers."""

from __future__ import annotations

import asyncio
import json
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from rig import open_rig, until
from typer.testing import CliRunner

from cycler_ctl.cli import app
from cycler_ctl.clock import SystemClock
from cycler_ctl.config import HttpSettings, MqttSettings
from cycler_ctl.errors import ConfigError
from cycler_ctl.notify.message import Message
from cycler_ctl.notify.sending import Sender
from cycler_ctl.reporting import open_reporting
from cycler_ctl.settings import NotifyRule

pytest.importorskip("apprise", reason="notifications are an extra: pip install 'cycler-ctl[notify]'")

HOSTILE = Message(
    "lab-3: a1, *MG* <b>: CANNOT BE SWITCHED OFF", "first\nsecond <script> & ÅÄÖ 電池\n.\n" + "y" * 600, "failure"
)
SECRET = "sesame-4711"  # noqa: S105 - made up


@dataclass
class Post:
    """What an HTTP service was sent; ``status`` is what it answers."""

    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    status: int = 200
    port: int = 0


@contextmanager
def posted_to() -> Generator[Post]:
    post = Post()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            post.got.append((self.path, json.loads(body)))
            self.send_response(post.status)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Not into the output of tests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, _served(server):
        post.port = server.server_address[1]
        yield post


@contextmanager
def _served(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


class _Mail(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as a client needs to hand over one message."""

    def handle(self) -> None:
        self.wfile.write(b"220 sink\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                self.server.mails.append(self._data())  # type: ignore[attr-defined]
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return

    def _data(self) -> bytes:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return b"".join(lines)


@contextmanager
def mailed_to() -> Generator[tuple[int, list[bytes]]]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mail) as server, _served(server):
        mails: list[bytes] = []
        server.mails = mails  # type: ignore[attr-defined]
        yield server.server_address[1], mails


@contextmanager
def never_answering() -> Generator[int]:
    """It takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def addressed(folder: Path, *addresses: str) -> NotifyRule:
    file = folder / "addresses"
    file.write_text("\n".join(addresses), encoding="utf-8")
    file.chmod(0o600)
    return NotifyRule(to_file=file)


def test_mail_and_http_take_a_message_to_the_letter_while_others_refuse_and_no_secret_is_said(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        post, (mail_port, mails) = stack.enter_context(posted_to()), stack.enter_context(mailed_to())
        refusing = stack.enter_context(posted_to())
        refusing.status = 403
        rule = addressed(
            tmp_path,
            f"json://reader:{SECRET}@127.0.0.1:{post.port}/lab",
            f"mailto://localhost:{mail_port}?from=cycler@lab.example&to=anna@lab.example&mode=insecure",
            f"json://127.0.0.1:{refusing.port}/{SECRET}",
            f"nonsense://{SECRET}",
        )
        answers = Sender(rule, answer_s=20.0).send(HOSTILE)
        assert sorted((answer.service.split(":")[0], answer.ok) for answer in answers) == [
            ("json", False), ("json", True), ("mailto", True), ("nonsense", False),
        ]  # fmt: skip
        assert SECRET not in str(answers)
        assert any("403" in answer.said for answer in answers)
    ((path, sent),) = post.got
    assert (path, sent["title"], sent["message"].rstrip(), sent["type"]) == (
        "/lab",
        HOSTILE.title,
        HOSTILE.body,
        "failure",
    )
    (mail,) = mails
    read = message_from_bytes(mail, policy=policy.default)
    assert HOSTILE.title in str(read["Subject"])
    bodies = {part.get_content_type(): str(part.get_content()) for part in read.walk() if not part.is_multipart()}
    assert "<script>" not in bodies.get("text/html", "")
    assert all("ÅÄÖ 電池" in body for body in bodies.values())


def test_a_service_that_never_answers_is_said_to_and_is_not_waited_for(tmp_path: Path) -> None:
    with never_answering() as hanging:
        rule = addressed(tmp_path, f"json://127.0.0.1:{hanging}/{SECRET}?rto=600&cto=600")
        (answer,) = Sender(rule, answer_s=0.3).send(HOSTILE)
    assert (answer.service, answer.ok, answer.said) == ("json://****", False, "no answer within 0.3 s")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("while True: print('tra la la')", "said more than 65536 bytes"),
        ("print('\\udcff' * 9)", "ended without a word"),
        ("import time; print('once upon a time', flush=True); time.sleep(600)", "not sent within 1 s"),
    ],
)
def test_a_process_that_says_too_much_or_nonsense_or_nothing_more_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, said: str
) -> None:
    """Another package stands in the place of ours."""
    folder = tmp_path / "cycler_ctl" / "notify"
    folder.mkdir(parents=True)
    for empty in (folder.parent, folder):
        (empty / "__init__.py").touch()
    (folder / "services.py").write_text(f"import sys\nsys.stdout.reconfigure(errors='surrogateescape')\n{program}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("cycler_ctl.notify.sending.STARTING_S", 0.5)
    (answer,) = Sender(addressed(tmp_path, "json://127.0.0.1"), answer_s=0.5).send(HOSTILE)
    assert not answer.ok
    assert said in answer.said


def station(folder: Path, rules: str) -> Path:
    file = folder / "station.toml"
    file.write_text(
        '[station]\nname = "lab-3"\n[instruments.smu1]\ndriver = "keithley-2400"\n'
        'address = "TCPIP0::127.0.0.1::5025::SOCKET"\n[channels.a1]\ninstrument = "smu1"\n'
        'limits = { voltage = "-0.5 V to 5 V", current = "10 mA" }\n' + rules,
        encoding="utf-8",
    )
    return file


def test_the_process_that_the_guardian_starts_tells_of_a_station_held_back(tmp_path: Path) -> None:
    with posted_to() as post:
        addressed(tmp_path, f"json://127.0.0.1:{post.port}/lab")
        config = str(station(tmp_path, '[notify.anna]\nto_file = "addresses"\n'))
        command = [sys.executable, "-P", "-m", "cycler_ctl.notify.held_back", config, "off", "it failed"]
        subprocess.run(command, check=True, timeout=60)
    ((_, said),) = post.got
    assert said["title"] == "lab-3: THE STATION IS NOT STARTED AGAIN; every output is off, read back"
    assert said["message"].splitlines()[0] == "it failed"


def test_the_test_command_says_what_each_service_answers_and_fails_where_one_does_not_take_it(tmp_path: Path) -> None:
    with posted_to() as post:
        addressed(tmp_path, f"json://127.0.0.1:{post.port}/a", f"json://127.0.0.1:{post.port}/b")
        config = station(tmp_path, '[notify.phone]\nto_file = "addresses"\n')
        asked = ["notify", "test", "--rule", "phone", "--config", str(config)]
        done = CliRunner().invoke(app, asked)
        assert done.exit_code == 0, done.output
        assert done.output.count("took the message") == 2
        assert {path for path, _ in post.got} == {"/a", "/b"}
        assert post.got[0][1]["title"] == "lab-3: test of notifications"
        post.status = 500
        failed = CliRunner().invoke(app, asked)
        assert (failed.exit_code, failed.output.count("FAILED")) == (1, 2)
    for command in (
        ["notify", "test", "--rule", "fax", "--config", str(config)],
        ["notify", "test", "--config", str(station(tmp_path, ""))],
    ):
        refused = CliRunner().invoke(app, command)
        assert isinstance(refused.exception, ConfigError)


async def test_what_happens_to_cells_reaches_the_phone_and_a_service_that_hangs_delays_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cycler_ctl.reporting.DRAIN_S", 1.0)
    clock = SystemClock()
    with posted_to() as post, never_answering() as hanging:
        works, hangs = tmp_path / "works", tmp_path / "hangs"
        works.mkdir()
        hangs.mkdir()
        rules = {
            "fax": addressed(hangs, f"json://127.0.0.1:{hanging}/{SECRET}?rto=600&cto=600"),
            "phone": addressed(works, f"json://127.0.0.1:{post.port}/"),
        }
        async with open_rig(tmp_path / "data", monkeypatch) as rig:
            more = {"notify": rules, "mqtt": MqttSettings(enabled=False), "http": HttpSettings(listen="127.0.0.1:0")}
            rig.station.config = rig.station.config.model_copy(update=more)
            async with open_reporting(rig.station, None) as reporting:
                await rig.flowing("a2")
                await rig.station.stop("a2", "test")
                await rig.flowing("a1")
                rig.inject("silence", count=None)
                await until(lambda: "CANNOT BE SWITCHED OFF; current MAY FLOW" in _titles(post), 30)
                shown = {
                    one["id"]: one for one in await asyncio.to_thread(_asked, str(reporting.page), "/api/v1/alarms")
                }
                assert shown["channel-a1"]["severity"] == "emergency"
                rig.heal()
                await rig.ends()
                status = await asyncio.to_thread(_asked, str(reporting.page), "/api/v1/station")
                assert [one["sending_since_utc_s"] is None for one in status["notify"]] == [False, True]
                left_s = clock.now()
            assert clock.now() - left_s < 10.0, "a service that hangs held up the end"
            assert rig.lies == []
    assert "rig: a2, MG-0142: stopped; the output is off, read back" in _titles(post)


def _titles(post: Post) -> str:
    return "\n".join(f"{sent['title']}\n{sent['message']}" for _, sent in post.got)


def _asked(page: str, path: str) -> Any:
    connection = HTTPConnection(urlsplit(page).netloc)
    connection.request("GET", path)
    found = json.load(connection.getresponse())
    connection.close()
    return found
