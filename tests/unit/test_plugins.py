from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from cycler_ctl import plugins
from cycler_ctl.errors import ConfigError
from cycler_ctl.instrument import DriverSpec


def known(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    installed = EntryPoints(EntryPoint(name, value, plugins.GROUP) for name, value in points)
    monkeypatch.setattr(plugins, "entry_points", installed.select)


def test_the_drivers_that_ship_are_found_by_entry_point() -> None:
    assert {"keithley-2400", "eurotherm"} <= set(plugins.driver_names())
    for name in plugins.driver_names():
        assert isinstance(plugins.load_driver(name), DriverSpec)


def test_an_unknown_driver_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean 'keithley-2400'"):
        plugins.load_driver("Keithley2400")


def test_a_driver_unlike_any_is_answered_with_the_list() -> None:
    with pytest.raises(ConfigError, match=r"there are .*eurotherm"):
        plugins.load_driver("zzz")


def test_two_packages_with_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, ("smu", "one:DRIVER"), ("smu", "two:DRIVER"))
    with pytest.raises(ConfigError, match="several packages"):
        plugins.load_driver("smu")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("not_installed_anywhere:DRIVER", "cannot be loaded"),
        ("math:DRIVER", "cannot be loaded"),
        ("math:pi", "not a DriverSpec"),
    ],
)
def test_a_broken_driver_is_named(monkeypatch: pytest.MonkeyPatch, value: str, says: str) -> None:
    known(monkeypatch, ("smu", value))
    with pytest.raises(ConfigError, match=says):
        plugins.load_driver("smu")
