"""One PostgreSQL and one cluster for all tests here; each test has a database of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import historians
import pytest

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
