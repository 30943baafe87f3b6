"""One PostgreSQL and one cluster for all tests here; each test has a database of its own."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import historians
import pytest

from cycler_ctl.broker import mqtt_answers

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[historians.Postgres]:
    with historians.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[historians.Cluster]:
    with historians.cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


@pytest.fixture
def new_database(postgres: historians.Postgres) -> Callable[[], str]:
    return lambda: postgres.new_database(f"test_{next(_NUMBERS)}")


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[int]:
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/sbin")
    if program is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    (port,) = historians.ports(1)
    config = tmp_path / "mosquitto.conf"
    config.write_text(
        f"listener {port} {historians.HOST}\nallow_anonymous true\nmax_queued_messages 0\n", encoding="utf-8"
    )
    with subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL) as process:
        while not mqtt_answers(port):
            historians.pause()
        yield port
        process.terminate()
