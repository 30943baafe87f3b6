"""Where the brokers are, and what is refused before the start."""

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiomqtt import MqttError

from cycler_ctl.config import MqttSettings
from cycler_ctl.errors import ConfigError
from cycler_ctl.publish.backoff import Backoff, Pace, Timing
from cycler_ctl.publish.certificates import Validity, warnings
from cycler_ctl.publish.endpoint import Endpoint, credentials, endpoints
from cycler_ctl.publish.explain import explain
from cycler_ctl.publish.names import Names, Unresolved

Locate = Callable[[Endpoint], Awaitable[Endpoint]]


def private(file: Path, content: bytes = b"x") -> Path:
    file.write_bytes(content)
    file.chmod(0o600)
    return file


def test_urls_of_the_settings_come_in_their_order_and_instead_of_the_default() -> None:
    found = endpoints(MqttSettings(url=("mqtt://127.0.0.1:2000", "mqtts://b")), "mqtt://default:1")
    expected = [("127.0.0.1", 2000, False), ("b", 8883, True)]
    assert [(each.host, each.port, each.tls is not None) for each in found] == expected


def test_without_urls_the_default_is_taken_and_without_that_none() -> None:
    assert [each.url for each in endpoints(MqttSettings(), "mqtt://127.0.0.1:1884")] == ["mqtt://127.0.0.1:1884"]
    assert endpoints(MqttSettings(), None) == ()


@pytest.mark.parametrize("url", ["http://a", "mqtt://", "mqtt://127.0.0.1:99999", "mqtt://127.0.0.1/b", "a:1883"])
def test_what_is_not_a_broker_s_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="url"):
        endpoints(MqttSettings(url=(url,)), None)


def names(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """What a name means here is the computer's affair, so the resolver is the one thing replaced."""

    def resolve(*_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def in_clear(host: str) -> Endpoint:
    (found,) = endpoints(MqttSettings(url=(f"mqtt://{host}:1883",)), None)
    return found


@pytest.mark.parametrize(
    "addresses", [("10.0.0.5",), ("127.0.0.1", "10.0.0.5"), ("169.254.0.1",), ("fe80::1%eth0",), ("::ffff:10.0.0.5",)]
)
@pytest.mark.parametrize("host", ["broker.lab", "localhost"])
async def test_in_clear_to_a_name_that_is_another_computer_s_too_nothing_is_connected(
    monkeypatch: pytest.MonkeyPatch, host: str, addresses: tuple[str, ...]
) -> None:
    names(monkeypatch, *addresses)
    for locate in ways():
        with pytest.raises(PermissionError, match="in clear only to this computer"):
            await locate(in_clear(host))


@pytest.mark.parametrize("host", ["10.0.0.5", "[fe80::1%eth0]", "[::ffff:10.0.0.5]", "0.0.0.0"])  # noqa: S104 - refused
def test_in_clear_to_another_computer_s_address_is_refused_at_the_start(host: str) -> None:
    with pytest.raises(ConfigError, match="in clear only to this computer"):
        in_clear(host)


async def test_in_clear_the_address_is_connected_to_and_not_the_name_whose_meaning_may_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names(monkeypatch, "::1", "127.0.0.1")
    for locate in ways():
        assert (await locate(in_clear("localhost"))).host == "127.0.0.1"
        assert (await locate(in_clear("[::1]"))).host == "::1"


async def test_with_tls_the_name_stays_which_the_certificate_must_bear(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, "10.0.0.5")
    (found,) = endpoints(MqttSettings(url=("mqtts://broker.lab",)), None)
    for locate in ways():
        assert await locate(found) is found


async def test_of_a_name_nobody_knows_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for locate in ways():
        with pytest.raises(Unresolved, match="brokr is not known here"):
            await locate(in_clear("brokr"))


class Hanging:
    """A resolver that answers when it is allowed to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers = threading.Event()

    def __call__(self, host: str, _port: object, **_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        self.asked.append(host)
        self.answers.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]


@pytest.mark.parametrize("way", [0, 1])
async def test_a_resolver_that_hangs_holds_up_nobody_and_its_late_answer_is_taken(
    monkeypatch: pytest.MonkeyPatch, way: int
) -> None:
    resolver = Hanging()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    broker = in_clear("broker.lab")
    assert resolver.asked == []
    locate = ways(0.02)[way]
    for _ in range(3):
        with pytest.raises(Unresolved, match=r"says nothing of broker.lab within 0.02 s"):
            await locate(broker)
    resolver.answers.set()
    for thread in threading.enumerate():
        if thread.name == "name broker.lab":
            thread.join()
    assert (await locate(broker)).host == "127.0.0.1"
    assert resolver.asked == ["broker.lab"]


def ways(within_s: float = 10.0) -> tuple[Locate, Locate]:
    """Of finding out where a broker is: on a loop, and in a thread."""
    here = Names(within_s)

    async def in_thread(broker: Endpoint) -> Endpoint:
        return await asyncio.to_thread(here.locate_here, broker)

    return Names(within_s).locate, in_thread


def test_tls_is_1_2_or_newer_and_host_and_certificate_are_always_checked() -> None:
    (found,) = endpoints(MqttSettings(url=("mqtts://a",)), None)
    assert found.tls is not None
    assert found.tls.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert found.tls.check_hostname
    assert found.tls.verify_mode is ssl.CERT_REQUIRED
    assert not [key for key in MqttSettings.model_fields if "verif" in key or "insecure" in key or "check" in key]


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    for url in ("mqtt://me:hunter2@a", "mqtt://me:hunter2@a/path"):
        with pytest.raises(ConfigError) as caught:
            endpoints(MqttSettings(url=(url,)), None)
        assert "hunter2" not in str(caught.value)


def test_a_missing_password_file_or_authority_is_said_with_its_path(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    with pytest.raises(ConfigError, match="nowhere"):
        credentials(MqttSettings(username="me", password_file=nowhere))
    for files in (
        {"ca_file": nowhere},
        {"cert_file": nowhere},
        {"cert_file": private(tmp_path / "c"), "key_file": nowhere},
    ):
        with pytest.raises(ConfigError, match="nowhere"):
            endpoints(MqttSettings(url=("mqtts://a",)).model_copy(update=files), None)


def test_a_file_that_holds_no_certificate_is_said_to_hold_none(tmp_path: Path) -> None:
    for key in ("ca_file", "cert_file"):
        with pytest.raises(ConfigError, match=key):
            endpoints(MqttSettings(url=("mqtts://a",)).model_copy(update={key: private(tmp_path / "c")}), None)


def test_a_password_is_the_file_without_its_line_end(tmp_path: Path) -> None:
    text = " p w "
    file = private(tmp_path / "secret", text.encode() + b"\r\n")
    assert credentials(MqttSettings(username="me", password_file=file)).password == text
    with pytest.raises(ConfigError, match="username"):
        credentials(MqttSettings(password_file=file))


@pytest.mark.skipif(os.name != "posix", reason="Windows' rights do not stand in the mode")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o620])
def test_a_password_or_key_others_can_read_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    file = private(tmp_path / "secret", b"hunter2")
    file.chmod(mode)
    for use in (
        lambda: credentials(MqttSettings(username="me", password_file=file)),
        lambda: endpoints(MqttSettings(url=("mqtts://a",), cert_file=file, key_file=file), None),
    ):
        with pytest.raises(ConfigError, match=f"{mode:04o}.*chmod 600") as caught:
            use()
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 5000, b"\xffhunter2"])
def test_a_password_that_cannot_be_one_is_refused_and_not_repeated(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ConfigError, match="password_file") as caught:
        credentials(MqttSettings(username="me", password_file=private(tmp_path / "secret", content)))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_password_may_come_from_the_environment_and_shows_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = MqttSettings(username="me", password_env="LAB_MQTT")  # noqa: S106 - a name
    monkeypatch.delenv("LAB_MQTT", raising=False)
    with pytest.raises(ConfigError, match="no LAB_MQTT"):
        credentials(settings)
    monkeypatch.setenv("LAB_MQTT", "hunter2")
    found = credentials(settings)
    assert found.password == "hunter2"  # noqa: S105 - no real one
    assert "hunter2" not in repr(found)


def test_waits_double_to_their_ceiling_and_begin_afresh_only_after_a_stable_connection() -> None:
    backoff = Backoff(Timing(), lambda: 1.0)
    assert [backoff.next_s() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    backoff.was_up(29.9)
    assert backoff.next_s() == 60
    backoff.was_up(30.0)
    assert backoff.next_s() == 1


def test_a_broker_that_does_not_know_us_is_never_asked_again_fast() -> None:
    assert Backoff(Timing(), lambda: 0.0).refused_s() == 30


def test_a_pace_lets_a_burst_through_and_then_one_at_a_time() -> None:
    pace = Pace(0.02, burst=3)
    waits = [round(pace.wait_s(100.0), 3) for _ in range(6)]
    assert waits == [0, 0, 0, 0, 0.02, 0.04]
    assert pace.wait_s(200.0) == 0


def test_what_ends_within_a_month_is_named_with_its_day_the_nearest_first() -> None:
    day_s, now_s = 86400.0, 1_800_000_000.0
    found = [Validity(name, now_s + days * day_s) for name, days in (("a", 31), ("b", 29.9), ("c", -1), ("d", 400))]
    assert warnings(found, now_s) == ["c expired on 2027-01-14", "b expires on 2027-02-14, in 30 d"]


def test_each_failure_of_tls_is_one_sentence_of_its_own() -> None:
    (broker,) = endpoints(MqttSettings(url=("mqtts://a",)), None)
    said: dict[str, str] = {}
    for reason in ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_CERTIFICATE_EXPIRED",
                   "WRONG_VERSION_NUMBER", "TLSV1_ALERT_PROTOCOL_VERSION", "SOMETHING_ELSE"):  # fmt: skip
        error = ssl.SSLError(1, reason)
        error.reason = reason
        said[reason] = explain(broker, error)
    assert len(set(said.values())) == len(said)
    assert "cert_file and key_file" in said["TLSV13_ALERT_CERTIFICATE_REQUIRED"]
    assert "SOMETHING_ELSE" in said["SOMETHING_ELSE"]
    assert all(words.startswith("mqtts://a: ") and "\n" not in words for words in said.values())


def test_what_led_to_a_failure_is_what_is_said_of_it() -> None:
    (broker,) = endpoints(MqttSettings(url=("mqtts://a",)), None)
    cause = ssl.SSLCertVerificationError()
    cause.verify_code, cause.verify_message = 10, "certificate has expired"
    failure = MqttError("certificate verify failed")
    failure.__context__ = cause  # as the library leaves it: "from None"
    assert explain(broker, failure) == "mqtts://a: its certificate has expired: it needs a new one"
