"""What a collector is told: no password where others see it, in clear to this computer only."""

from __future__ import annotations

from pathlib import Path

import pytest

from cycler_ctl.errors import ConfigError
from cycler_ctl.fleet.settings import BrokerSettings, DatabaseSettings, Login, brokers, conninfo, load, login

WORDS = "correct horse"


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:correct@h/d", "postgresql://h/d?password=correct", "mysql://h/d", "h"],
)
def test_a_database_address_with_a_password_or_of_another_kind_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        conninfo(url, DatabaseSettings())
    assert "correct" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "http://h", "nats://h,mqtt://h", "mqtts://u:correct@h", "nats://h/path"])
def test_broker_addresses_are_of_one_kind_and_hold_no_user(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        brokers(text)
    assert "correct" not in str(refused.value)


def test_in_clear_goes_to_this_computer_only() -> None:
    assert login(BrokerSettings(), ["nats://127.0.0.1:4222"]).tls is None
    for url in ("nats://10.0.0.1:4222", "mqtt://broker"):
        with pytest.raises(ConfigError, match="only with TLS"):
            login(BrokerSettings(), [url])
    assert login(BrokerSettings(), ["mqtts://broker"]).tls is not None


def test_a_password_comes_from_a_file_and_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{WORDS}\n", encoding="utf-8")
    known = login(BrokerSettings(username="u", password_file=file), ["nats://localhost"])
    assert known.password == WORDS
    assert WORDS not in repr(known)
    assert WORDS not in repr([Login("u", WORDS, None)])
    assert f"'{WORDS}'" in conninfo("postgresql://h/d", DatabaseSettings(password_file=file))


def test_several_database_hosts_mean_the_one_that_takes_writes() -> None:
    assert "target_session_attrs=read-write" in conninfo("postgresql://u@a,b:5433/d", DatabaseSettings())


def test_a_wrong_file_is_one_message(tmp_path: Path) -> None:
    file = tmp_path / "collector.toml"
    file.write_text("[broker]\nreplcas = 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"broker\.replcas"):
        load(file)
