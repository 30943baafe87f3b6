"""systemd and the Task Scheduler, as far as one service is concerned: where its text lies, and what is told to them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import platformdirs

from cycler_ctl.errors import ConfigError, RefusedError

NAME = "cycler-ctl"


class Manager(Protocol):
    """``file``: the text as installed. Each of the lists holds command lines, run in turn; the first failure ends it."""

    @property
    def file(self) -> Path: ...
    def register(self) -> list[list[str]]: ...
    def start(self) -> list[list[str]]: ...
    def restart(self) -> list[list[str]]: ...
    def stop(self) -> list[list[str]]: ...
    def forget(self) -> list[list[str]]: ...
    def state(self) -> list[str]:
        """The command that tells in words whether it runs."""
        ...


@dataclass(frozen=True, slots=True)
class Systemd:
    """``scope``: ``--user`` or ``--system``."""

    scope: str

    @property
    def file(self) -> Path:
        if self.scope == "--system":
            return Path("/etc/systemd/system") / f"{NAME}.service"
        return platformdirs.user_config_path("systemd") / "user" / f"{NAME}.service"

    def _systemctl(self, *words: str) -> list[str]:
        return ["systemctl", self.scope, *words]

    def register(self) -> list[list[str]]:
        return [self._systemctl("daemon-reload"), self._systemctl("enable", NAME)]

    def start(self) -> list[list[str]]:
        return [self._systemctl("start", NAME)]

    def restart(self) -> list[list[str]]:
        return [self._systemctl("restart", NAME)]

    def stop(self) -> list[list[str]]:
        """Its ExecStopPost turns every output off."""
        return [self._systemctl("disable", "--now", NAME)]

    def forget(self) -> list[list[str]]:
        return [self._systemctl("daemon-reload")]

    def state(self) -> list[str]:
        return self._systemctl("is-active", NAME)


@dataclass(frozen=True, slots=True)
class TaskScheduler:
    """A task cannot be ended without killing what watches the cell: who wants that, ends the service first."""

    user: str

    @property
    def file(self) -> Path:
        return platformdirs.user_config_path(NAME, appauthor=False) / f"{NAME}-task.xml"

    def register(self) -> list[list[str]]:
        return [["schtasks", "/Create", "/TN", NAME, "/XML", str(self.file), "/RU", self.user, "/RP", "*", "/F"]]

    def start(self) -> list[list[str]]:
        return [["schtasks", "/Run", "/TN", NAME]]

    def restart(self) -> list[list[str]]:
        raise RefusedError("a task is not ended here: end the service when nothing runs, then start the task")

    def stop(self) -> list[list[str]]:
        return []

    def forget(self) -> list[list[str]]:
        return [["schtasks", "/Delete", "/TN", NAME, "/F"]]

    def state(self) -> list[str]:
        return ["schtasks", "/Query", "/TN", NAME]


def told(commands: Sequence[Sequence[str]]) -> None:
    """Run them; RefusedError with what the manager says."""
    for command in commands:
        ended = subprocess.run([_found(command[0]), *command[1:]], check=False, stderr=subprocess.PIPE, text=True)
        if ended.returncode != 0:
            raise RefusedError(f"{' '.join(command)}: status {ended.returncode}: {ended.stderr.strip()}")


def asked(command: Sequence[str]) -> tuple[int, str]:
    ended = subprocess.run([_found(command[0]), *command[1:]], check=False, capture_output=True, text=True)
    return ended.returncode, (ended.stdout or ended.stderr).strip()


def _found(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise ConfigError(f"there is no {program} here: let your own service manager start 'cycler-ctl serve'")
    return path
