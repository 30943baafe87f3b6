"""Where the brokers are, and what is refused before the start."""

from pathlib import Path

import pytest

from cycler_ctl.config import MqttSettings
from cycler_ctl.errors import ConfigError
from cycler_ctl.publish.backoff import Backoff, Pace, Timing
from cycler_ctl.publish.endpoint import credentials, endpoints


def test_urls_of_the_settings_come_in_their_order_and_instead_of_the_default() -> None:
    found = endpoints(MqttSettings(url=("mqtt://a:2000", "mqtts://b")), "mqtt://default:1")
    assert [(each.host, each.port, each.tls is not None) for each in found] == [("a", 2000, False), ("b", 8883, True)]


def test_without_urls_the_default_is_taken_and_without_that_none() -> None:
    assert [each.url for each in endpoints(MqttSettings(), "mqtt://127.0.0.1:1884")] == ["mqtt://127.0.0.1:1884"]
    assert endpoints(MqttSettings(), None) == ()


@pytest.mark.parametrize("url", ["http://a", "mqtt://", "mqtt://a:99999", "mqtt://a/b", "a:1883"])
def test_what_is_not_a_broker_s_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="url"):
        endpoints(MqttSettings(url=(url,)), None)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        endpoints(MqttSettings(url=("mqtt://me:hunter2@a",)), None)
    assert "hunter2" not in str(caught.value)


def test_a_missing_password_file_or_authority_is_said_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        credentials(MqttSettings(username="me", password_file=tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="nowhere"):
        endpoints(MqttSettings(url=("mqtts://a",), ca_file=tmp_path / "nowhere"), None)


def test_a_password_is_the_file_without_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    text = " p w "
    file.write_bytes(text.encode() + b"\r\n")
    assert credentials(MqttSettings(username="me", password_file=file)).password == text
    with pytest.raises(ConfigError, match="username"):
        credentials(MqttSettings(password_file=file))


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
