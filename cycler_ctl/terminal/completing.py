"""What the shell may offer: channels and runs, from the files on this computer; nothing is said when they are wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import typer

SHELLS = ("bash", "zsh", "fish", "powershell")
VARIABLE = "_CYCLER_CTL_COMPLETE"
MOST = 50


def channels(context: typer.Context, incomplete: str) -> list[str]:
    document, _ = _station(context)
    return sorted(name for name in _table(document, "channels") if name.startswith(incomplete))


def runs(context: typer.Context, incomplete: str) -> list[str]:
    """The newest first."""
    document, folder = _station(context)
    data_dir = folder / str(_table(document, "station").get("data_dir", "data"))
    try:
        names = sorted((one.name for one in (data_dir / "runs").iterdir()), reverse=True)
    except OSError:
        return []
    return [name for name in names if name.startswith(incomplete)][:MOST]


def _station(context: typer.Context) -> tuple[Mapping[str, object], Path]:
    from cycler_ctl.config import find_config
    from cycler_ctl.errors import CyclerError

    named = context.params.get("config")
    try:
        path = find_config(Path(named) if isinstance(named, str | Path) else None)
        return tomllib.loads(path.read_text(encoding="utf-8-sig")), path.absolute().parent
    except (CyclerError, OSError, ValueError):
        return {}, Path()


def _table(document: Mapping[str, object], key: str) -> Mapping[str, object]:
    from cycler_ctl.stationfile.readers import table_of

    return table_of(document, key)


def script(shell: str) -> str:
    from typer._completion_shared import get_completion_script

    return get_completion_script(prog_name="cycler-ctl", complete_var=VARIABLE, shell=shell)
