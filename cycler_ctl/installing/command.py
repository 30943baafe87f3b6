"""``service install``, ``uninstall`` and ``status``. Nothing here ends a service under which a cell may be on."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from cycler_ctl.config import Config, find_config, load_config
from cycler_ctl.errors import ConfigError, CyclerError, RefusedError, StoreError
from cycler_ctl.installing.managers import Manager, Systemd, TaskScheduler, asked, told
from cycler_ctl.installing.rendering import Place, changed, system_unit, task, user_unit
from cycler_ctl.store.export.atomic import whole_file
from cycler_ctl.terminal.asking import Asking
from cycler_ctl.terminal.client import Client, UnreachableError
from cycler_ctl.terminal.folding import columns, folded
from cycler_ctl.terminal.safe_off import is_guarded, known_at, safe_off_station
from cycler_ctl.watching.register import read_register

DONE, FAILED = 0, 1
BUSY = frozenset({"running", "paused", "cannot_deenergise"})


@dataclass(frozen=True, slots=True)
class Service:
    """One installed, or to be installed: ``text`` is what its file holds then. ``config`` None: the file has errors."""

    manager: Manager
    config: Config | None
    data_dir: Path
    config_path: Path
    text: str


def service_of(config_path: Path | None, *, system: bool, user: str, broken: bool = False) -> Service:
    """``broken``: a station.toml with errors will do, as it does where nothing is to be started."""
    path = find_config(config_path).resolve()
    config, data_dir = _read(path, broken=broken)
    place = Place(program(), path, data_dir.resolve(), user)
    if sys.platform == "win32":
        return Service(TaskScheduler(place.user), config, data_dir, path, task(place))
    if system:
        _refuse_unknown_user(user)
        return Service(Systemd("--system"), config, data_dir, path, system_unit(place))
    return Service(Systemd("--user"), config, data_dir, path, user_unit(place))


def _read(path: Path, *, broken: bool) -> tuple[Config | None, Path]:
    try:
        config = load_config(path)
    except ConfigError:
        if not broken:
            raise
        return None, known_at(path).data_dir
    return config, config.station.data_dir


def program() -> Path:
    """The command beside this Python, so that the service runs what installs it."""
    name = "cycler-ctl.exe" if sys.platform == "win32" else "cycler-ctl"
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which("cycler-ctl")
    if found is None:
        raise ConfigError(f"there is no command cycler-ctl beside {sys.executable}: install it there with pip")
    return Path(found).absolute()


def _refuse_unknown_user(user: str) -> None:
    if sys.platform == "win32":
        return
    import pwd

    try:
        pwd.getpwnam(user)
    except KeyError as error:
        advice = f"useradd --system --home-dir /var/lib/cycler-ctl {user}, or name another with --as"
        raise ConfigError(f"there is no user {user!r} for the service to run as: {advice}") from error


def install(service: Service, asking: Asking, *, restart: bool, dry_run: bool) -> int:
    """Again: replaces. A service that runs goes on as it is until somebody restarts it."""
    manager, before = service.manager, _installed(service.manager)
    if dry_run:
        sys.stdout.write(service.text)
        steps = [*manager.register(), *([] if is_guarded(service.data_dir) else manager.start())]
        sys.stderr.writelines(f"would run: {' '.join(step)}\n" for step in [["write", str(manager.file)], *steps])
        return DONE
    _say_change(manager.file, before, service.text)
    if before != service.text:
        _write(manager.file, service.text)
    told(manager.register())
    if not is_guarded(service.data_dir):
        told(manager.start())
        sys.stderr.write("started\n")
    elif restart:
        _restart(service, asking)
    elif before != service.text:
        sys.stderr.write("the service that runs goes on as it was: when no run is active, install with --restart\n")
    _say_lingering(manager)
    return DONE


def _say_lingering(manager: Manager) -> None:
    """Without it systemd ends a user's services at logout, and starts them at the next login only (loginctl(1))."""
    if isinstance(manager, Systemd) and manager.scope == "--user":
        sys.stderr.write(
            "it ends when you log out, and its runs with it, unless 'loginctl enable-linger' was said once; "
            "'--system' needs no login\n"
        )


def _restart(service: Service, asking: Asking) -> None:
    """It ends every run, with outputs off and read back; that is never done unasked."""
    busy = active(service)
    if busy and not asking.wanted():
        raise RefusedError(f"not restarted: {'; '.join(busy)}. Stop or pause what runs first")
    if busy:
        asking.confirm("; ".join(busy), "Restart the service and end these runs?")
    told(service.manager.restart())
    sys.stderr.write("restarted\n")


def uninstall(service: Service, *, dry_run: bool) -> int:
    """Off first: its file stays where an output could not be confirmed off."""
    manager = service.manager
    if not manager.file.exists():
        raise RefusedError(f"not installed: there is no {manager.file}")
    busy = active(service)
    if busy:
        raise RefusedError(f"not taken away: {'; '.join(busy)}. Stop what runs first")
    if isinstance(manager, TaskScheduler) and is_guarded(service.data_dir):
        raise RefusedError("not taken away: the service runs. End its guardian in the Task Manager first")
    if dry_run:
        steps = [*manager.stop(), ["cycler-ctl", "safe-off"], ["remove", str(manager.file)], *manager.forget()]
        sys.stderr.writelines(f"would run: {' '.join(step)}\n" for step in steps)
        return DONE
    told(manager.stop())
    status = safe_off_station(service.config_path)
    if status != DONE:
        sys.stderr.write(f"{manager.file} stays until every output is confirmed off; then uninstall again\n")
        return status
    manager.file.unlink()
    told(manager.forget())
    sys.stderr.write(f"{manager.file}: removed; data and station.toml stay\n")
    return DONE


def show(service: Service, *, as_json: bool) -> int:
    """0: installed and running."""
    manager, text = service.manager, _installed(service.manager)
    status, words = asked(manager.state()) if text is not None else (FAILED, "not installed")
    found = {
        "file": str(manager.file),
        "installed": text is not None,
        "as_this_version_would": text == service.text,
        "manager_says": words,
        "serving": is_guarded(service.data_dir),
    }
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        newer = "" if text in {None, service.text} else "; another text than this version installs: install again"
        serving = "a service runs" if found["serving"] else "no service runs"
        line = f"{manager.file}: {words}{newer}; {serving} on {service.data_dir}"
        sys.stdout.write(folded(line, columns()) + "\n")
    return DONE if text is not None and status == 0 else FAILED


def active(service: Service) -> list[str]:
    """What somebody would lose, or harm, by ending the service now. Without one, safe-off alone is to be done."""
    if not is_guarded(service.data_dir):
        return []
    found: list[str] = []
    try:
        found += [f"channel {channel} may be on" for channel in read_register(service.data_dir)]
    except StoreError as error:
        found.append(f"what is on is not known ({error})")
    if service.config is None:
        return [*found, "its runs are not known (station.toml has errors)"]
    try:
        channels = Client(service.config).list("/api/v1/channels")
    except UnreachableError as error:
        return [*found, f"its runs are not known ({error})"]
    return [*found, *(f"channel {one['channel']} is {one['state']}" for one in channels if one["state"] in BUSY)]


def _installed(manager: Manager) -> str | None:
    try:
        return manager.file.read_text(encoding="utf-8") if manager.file.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{manager.file} cannot be read: {error}") from error


def _say_change(file: Path, before: str | None, text: str) -> None:
    if before is None:
        sys.stderr.write(f"{file}: new\n")
    elif before == text:
        sys.stderr.write(f"{file}: as it was\n")
    else:
        sys.stderr.writelines(f"{line}\n" for line in [f"{file}: replaced", *changed(before, text)])


def _write(file: Path, text: str) -> None:
    try:
        with whole_file(file) as unfinished:
            unfinished.write(text)
    except OSError as error:
        raise CyclerError(f"{file} cannot be written: {error.strerror}; --system needs root") from error
