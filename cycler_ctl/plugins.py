"""Drivers by name, found through the entry-point group ``cycler_ctl.drivers``; built-in ones have no privilege."""

from __future__ import annotations

from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points

from cycler_ctl.errors import ConfigError
from cycler_ctl.instrument import DriverSpec

GROUP = "cycler_ctl.drivers"


def driver_names() -> tuple[str, ...]:
    """Every name ``driver = "…"`` may have here, sorted; nothing is imported for it."""
    return tuple(sorted(entry_points(group=GROUP).names))


def load_driver(name: str) -> DriverSpec:
    """Import the driver of this name; ConfigError when there is none, it is ambiguous, or it cannot be loaded."""
    return _spec(_entry_point(name))


def _entry_point(name: str) -> EntryPoint:
    found = {point.value: point for point in entry_points(group=GROUP, name=name)}
    if not found:
        raise ConfigError(f"no driver is called {name!r}; {_suggestion(name)}")
    if len(found) > 1:
        raise ConfigError(
            f"several packages call a driver {name!r} ({', '.join(sorted(found))}): uninstall all but one"
        )
    return next(iter(found.values()))


def _suggestion(name: str) -> str:
    known = driver_names()
    close = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known) or 'none'}"


def _spec(point: EntryPoint) -> DriverSpec:
    try:
        spec: object = point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"driver {point.name!r} ({point.value}) cannot be loaded: {error}") from error
    if not isinstance(spec, DriverSpec):
        raise ConfigError(f"driver {point.name!r}: {point.value} is not a DriverSpec")
    return spec
