"""The reader and the condition parser against random input: never an exception, never an answer without a reason."""

import re

import pytest
from language_fuzz import any_condition, any_file, read_any_condition, read_file, run

from protocols.check import check_text

FEW, MANY = 1500, 100_000


@pytest.fixture(scope="module")
def seeds(pytestconfig: pytest.Config) -> range:
    return range(MANY if pytestconfig.getoption("--campaign") else FEW)


@pytest.mark.timeout(1800)
def test_no_file_makes_the_reader_raise(seeds: range) -> None:
    assert run(any_file, read_file, seeds)[:3] == []


@pytest.mark.timeout(1800)
def test_no_condition_makes_its_parser_raise(seeds: range) -> None:
    assert run(any_condition, read_any_condition, seeds)[:3] == []


def test_the_files_reach_every_part_of_the_checker() -> None:
    codes = {each.code for seed in range(FEW) for each in check_text(any_file(seed), "p").diagnostics}
    assert {"condition", "unit-unknown", "direction", "reference", "yaml-syntax", "shape", "safety-conflict"} <= codes
    assert len(codes) > 18
    assert any(check_text(any_file(seed), "p").program is not None for seed in range(FEW))


def test_a_reader_that_raises_now_and_then_is_found() -> None:
    def brittle(text: str) -> None:
        read_file(text)
        if re.search(r"previous step.*theoretical", text):
            raise ZeroDivisionError

    assert run(any_file, brittle, range(FEW)) != []
    assert run(lambda _: "protocol: 1", lambda _: read_any_condition("0.2 V"), range(1)) == []
