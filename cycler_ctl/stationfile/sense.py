"""What each value of a ``station.toml`` alone does not show: references, conflicts, unsafe combinations."""

from __future__ import annotations

import ipaddress
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from cycler_ctl.errors import ConfigError
from cycler_ctl.instrument import DriverSpec
from cycler_ctl.link.address import parse_address
from cycler_ctl.stationfile.notify import check_notify
from cycler_ctl.stationfile.positions import Path as KeyPath
from cycler_ctl.stationfile.readers import Notes, is_list, table_of
from protocols.diagnostics import did_you_mean, quoted

STUCK_AT_LEAST_S = 300.0
SLOWEST_SAMPLE_S = 10.0  # slower, and the guard, which sees only readings, would be blind for too long


Load = Callable[[str], DriverSpec]


def check_sense(notes: Notes, read: Mapping[str, object], load: Load) -> None:
    """What each value alone does not show."""
    instruments, channels = table_of(read, "instruments"), table_of(read, "channels")
    specs = {name: _check_driver(notes, name, table_of(instruments, name), load) for name in instruments}
    _check_addresses(notes, instruments)
    taken: dict[tuple[object, object], str] = {}
    for name in channels:
        _check_channel(notes, name, table_of(channels, name), specs)
        _check_output(notes, name, table_of(channels, name), specs, taken)
    _check_http(notes, table_of(read, "http"))
    _check_share(notes, table_of(read, "share"), table_of(read, "station"))
    _check_mqtt(notes, table_of(read, "mqtt"))
    _check_commands(notes, table_of(read, "mqtt"))
    _check_escalation(notes, table_of(read, "escalation"))
    check_notify(notes, table_of(read, "notify"), list(channels))
    if "channels" in read and not channels:
        notes.at_key(
            ("channels",), "missing-key", "the station has no channel", "write [channels.a1] with its settings"
        )


def _check_share(notes: Notes, share: dict[str, object], station: dict[str, object]) -> None:
    folder, data_dir = share.get("folder"), station.get("data_dir") or notes.folder / "data"
    if isinstance(folder, Path) and isinstance(data_dir, Path) and folder.is_relative_to(data_dir):
        message = f"the share {folder} is inside data_dir, and would be copied into itself"
        notes.at_value(("share", "folder"), "share", message, "name a folder on the group's share")


def _check_escalation(notes: Notes, escalation: dict[str, object]) -> None:
    """A program that is not there would be missed only in the emergency."""
    command = escalation.get("command")
    if not is_list(command):
        return
    program = str(command[0]) if command else "none"
    if program and shutil.which(program) is None:
        advice = "write its full path, and let the service's user execute it"
        notes.at_value(("escalation", "command"), "reference", f"there is no program {quoted(program)}", advice)


def _check_driver(notes: Notes, name: str, settings: dict[str, object], load: Load) -> DriverSpec | None:
    path = ("instruments", name)
    driver = settings.get("driver")
    if not isinstance(driver, str) or not driver:
        return None
    try:
        spec = load(driver)
    except ConfigError as error:
        what, _, advice = str(error).partition("; ")
        notes.at_value((*path, "driver"), "driver", what, advice or None)
        return None
    _check_options(notes, path, table_of(settings, "options"), spec)
    return spec


def _check_options(notes: Notes, path: KeyPath, options: dict[str, object], spec: DriverSpec) -> None:
    own = dict(options)
    if "regulation" in own:
        del own["regulation"]
        advice = "write it in the table of the channel"
        notes.at_key((*path, "regulation"), "unknown-key", "'regulation' is a setting of a channel", advice)
    known = [key for key in spec.options.model_fields if key != "regulation"]
    for key in [key for key in own if key not in known]:
        del own[key]
        near = did_you_mean(key, ["driver", "address", "serial", "backend", *known])
        notes.at_key((*path, key), "unknown-key", f"{'.'.join(map(str, path))} has no '{key}'", near)
    try:
        spec.options.model_validate(own)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            notes.at_value(
                (*path, *fault["loc"]), "option", f"{fault['loc'][0] if fault['loc'] else 'options'}: {fault['msg']}"
            )


def _check_addresses(notes: Notes, instruments: dict[str, object]) -> None:
    """Two owners of one wire would read each other's answers."""
    seen: dict[object, str] = {}
    for name in instruments:
        address = table_of(instruments, name).get("address")
        if not isinstance(address, str) or not address:
            continue
        try:
            wire = parse_address(address)
        except ConfigError as error:
            notes.at_value(("instruments", name, "address"), "address", str(error))
            continue
        key = getattr(wire, "port", None) if address.lower().startswith(("serial:", "asrl")) else wire
        if key in seen:
            message = f"'{seen[key]}' has this address already: one wire has one owner"
            notes.at_value(("instruments", name, "address"), "conflict", message)
        seen.setdefault(key, name)


def _check_channel(notes: Notes, name: str, channel: dict[str, object], specs: Mapping[str, DriverSpec | None]) -> None:
    path = ("channels", name)
    instrument, temperature = channel.get("instrument"), channel.get("temperature")
    if isinstance(instrument, str) and instrument and instrument not in specs:
        _unknown_instrument(notes, (*path, "instrument"), instrument, specs)
    if isinstance(temperature, str) and temperature and temperature not in {*specs, "unmonitored"}:
        _unknown_instrument(notes, (*path, "temperature"), temperature, [*specs, "unmonitored"])
    if "temperature_degC" in table_of(channel, "limits") and temperature is None:
        notes.at_key(
            (*path, "limits", "temperature"),
            "missing-key",
            f"channels.{name} has temperature limits but no sensor to watch them",
            'write temperature = "<instrument with the sensor>" in the channel, or temperature = "unmonitored"',
        )
    _check_guard(notes, path, channel)
    every_s = channel.get("sample_every_s")
    if isinstance(every_s, float) and every_s > SLOWEST_SAMPLE_S:
        message = f"sample_every is longer than {SLOWEST_SAMPLE_S:.0f} s: nothing would watch the cell in between"
        advice = "sample at least every 10 s; the protocol's 'record' says how often a row is kept"
        notes.at_value((*path, "sample_every"), "out-of-range", message, advice)


def _check_guard(notes: Notes, path: KeyPath, channel: dict[str, object]) -> None:
    """Limits beside the others must lie inside them, or they say nothing, or stop every run."""
    limits = table_of(channel, "limits")
    watched = channel.get("temperature") not in {None, "unmonitored"}
    for key, target in (
        ("temperature_slew_max", "temperature_slew_max_K_s"),
        ("temperature_stuck", "temperature_stuck_s"),
    ):
        if target in channel and not watched:
            advice = 'write temperature = "<instrument with the sensor>" in the channel'
            notes.at_key((*path, key), "missing-key", f"{key} needs a sensor to watch", advice)
    stuck_s = channel.get("temperature_stuck_s")
    if isinstance(stuck_s, float) and stuck_s < STUCK_AT_LEAST_S:
        message = f"a sensor is read every few seconds, and may rightly stand still for {STUCK_AT_LEAST_S / 60:.0f} min"
        notes.at_value((*path, "temperature_stuck"), "out-of-range", message)
    outer_V = _bounds(limits.get("voltage_V"))
    if outer_V is not None:
        _check_guard_V(notes, path, channel, outer_V)


def _check_guard_V(notes: Notes, path: KeyPath, channel: dict[str, object], outer_V: tuple[float, float]) -> None:
    limits, short_V, polarity_V = (
        table_of(channel, "limits"),
        channel.get("v_short_V"),
        _bounds(channel.get("polarity_V")),
    )
    span = f"the channel's limits {outer_V[0]:.4g} V to {outer_V[1]:.4g} V"
    if isinstance(short_V, float) and not (outer_V[0] < short_V < outer_V[1]):
        notes.at_value((*path, "v_short"), "nesting", f"v_short {short_V:.4g} V lies outside {span}")
    if polarity_V is not None and not (outer_V[0] <= polarity_V[0] and polarity_V[1] <= outer_V[1]):
        notes.at_value((*path, "polarity_window"), "nesting", f"the polarity window reaches beyond {span}")
    power_W, most_A = limits.get("power_W"), limits.get("current_A")
    if isinstance(power_W, float) and isinstance(most_A, float):
        most_W = most_A * max(map(abs, outer_V))
        if power_W > most_W:
            message = f"the limits of voltage and current allow no more than {most_W:.4g} W: this would say nothing"
            notes.at_value((*path, "limits", "power"), "nesting", message)


def _bounds(value: object) -> tuple[float, float] | None:
    if not is_list(value) or len(value) != 2:
        return None
    low, high = value
    return (low, high) if isinstance(low, float) and isinstance(high, float) else None


def _unknown_instrument(notes: Notes, path: KeyPath, name: str, known: Mapping[str, object] | list[str]) -> None:
    notes.at_value(path, "reference", f"there is no instrument {quoted(name)}", did_you_mean(name, list(known)))


def _check_output(
    notes: Notes,
    name: str,
    channel: dict[str, object],
    specs: Mapping[str, DriverSpec | None],
    taken: dict[tuple[object, object], str],
) -> None:
    instrument, output = channel.get("instrument"), channel.get("output", "1")
    spec = specs.get(str(instrument))
    if spec is None:
        return
    where = ("channels", name, "output" if "output" in channel else "instrument")
    if spec.safe_off is None:
        message = f"'{instrument}' is a sensor: it has no output that could drive a cell"
        notes.at_value(("channels", name, "instrument"), "reference", message)
    elif spec.outputs and output not in spec.outputs:
        words = ", ".join(f'"{one}"' for one in spec.outputs)
        notes.at_value(where, "choice", f"'{instrument}' has no output '{output}'", f"it has {words}")
    elif (instrument, output) in taken:
        message = f"channel '{taken[instrument, output]}' uses output '{output}' of '{instrument}' already"
        notes.at_value(where, "conflict", message)
    taken.setdefault((instrument, output), name)


def _check_http(notes: Notes, http: dict[str, object]) -> None:
    listen = http.get("listen", "")
    if not isinstance(listen, str) or not listen or http.get("enabled") is False:
        return
    parts = _host_and_port(listen)
    if parts is None:
        notes.at_value(
            ("http", "listen"), "shape", f"{quoted(listen)} is not an address", "write host:port, e.g. 127.0.0.1:8787"
        )
    elif not is_loopback(parts) and not {"tls_cert", "tls_key", "token_file"} <= http.keys():
        message = f"{quoted(listen)} can be reached from the network: that needs tls_cert, tls_key and token_file"
        notes.at_value(("http", "listen"), "unsafe", message, "or listen on 127.0.0.1 only")


def _host_and_port(listen: str) -> str | None:
    try:
        parts = urlsplit(f"//{listen}")
        whole = parts.port is not None and parts.netloc == listen
    except ValueError:
        return None
    return parts.hostname if whole else None


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_commands(notes: Notes, mqtt: dict[str, object]) -> None:
    for key, other in (("command_password_file", "command_username"), ("command_key_file", "command_cert_file")):
        if key in mqtt and other not in mqtt:
            notes.at_key(("mqtt", key), "missing-key", f"{key} is given without {other}")
    if mqtt.get("commands") is True and "operate_secret_file" not in mqtt:
        message = "commands = true needs operate_secret_file: a command that nobody signed is never taken"
        notes.at_key(("mqtt", "commands"), "missing-key", message, 'write operate_secret_file = "secrets/operate"')


def _check_mqtt(notes: Notes, mqtt: dict[str, object]) -> None:
    urls = mqtt.get("url", ())
    for key, other in (("password_file", "username"), ("password_env", "username"), ("key_file", "cert_file")):
        if key in mqtt and other not in mqtt:
            notes.at_key(("mqtt", key), "missing-key", f"{key} is given without {other}")
    if {"password_file", "password_env"} <= mqtt.keys():
        notes.at_key(("mqtt", "password_env"), "conflict", "password_file gives the password already")
    for index, url in enumerate(urls if is_list(urls) else ()):
        path = ("mqtt", "url", index) if ("mqtt", "url", index) in notes.places else ("mqtt", "url")
        if isinstance(url, str) and url:
            _check_url(notes, path, url)


def _check_url(notes: Notes, path: KeyPath, url: str) -> None:
    try:
        parts = urlsplit(url)
        whole_url = parts.scheme in {"mqtt", "mqtts"} and parts.hostname and (parts.port or True)
    except ValueError:
        parts, whole_url = urlsplit(""), False
    if not whole_url or parts.path.strip("/") or parts.query:
        notes.at_value(
            path, "shape", f"{quoted(url)} is not a broker", "write mqtts://host:8883 or mqtt://127.0.0.1:1883"
        )
    elif parts.username is not None:
        notes.at_value(
            path, "unsafe", "a broker's url must not hold a name or password", "use username and password_file"
        )
    elif parts.scheme == "mqtt" and not is_loopback(parts.hostname or ""):
        message = f"{quoted(url)} would go over the network in clear, where anyone can read and change it"
        notes.at_value(path, "unsafe", message, "write mqtts:// (port 8883)")
