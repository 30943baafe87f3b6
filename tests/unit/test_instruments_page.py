"""docs/instruments.md says what the drivers say: each of them, with every rating."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from cycler_ctl.plugins import driver_names, load_driver
from cycler_ctl.terminal import driver_facts
from cycler_ctl.terminal.driver_facts import block, page

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "instruments.md").read_text(encoding="utf-8")
BUILT_IN = sorted(name for name in driver_names() if load_driver(name).options.__module__.startswith("drivers."))


def test_the_page_is_what_the_drivers_say() -> None:
    assert page(TEXT) == TEXT


def test_every_driver_has_a_section_of_its_name_and_no_section_is_of_none() -> None:
    assert sorted(re.findall(r"^## (\S+-\S+|eurotherm)$", TEXT, re.MULTILINE)) == BUILT_IN
    assert sorted(re.findall(r"^<!-- from the driver (\S+) -->$", TEXT, re.MULTILINE)) == BUILT_IN


def test_every_driver_stands_in_the_hardware_checklist() -> None:
    rows = re.findall(r"^\| (\S+) \|", (DOCS / "hardware-checklist.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(set(rows) - {"driver"}) == BUILT_IN


def test_another_rating_is_another_page(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = load_driver("keithley-2400")
    ratings = spec.ratings
    assert ratings is not None
    slower = replace(spec, ratings=lambda options: replace(ratings(options), fastest_sample_s=9.0))
    monkeypatch.setattr(driver_facts, "load_driver", lambda _name: slower)
    assert "fastest sample 9 s" in block("keithley-2400")
    assert page(TEXT) != TEXT
