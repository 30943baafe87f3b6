"""Queue and amendment as the command line does them, with the real service killed in between."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from lab import Lab, until

from cycler_ctl.errors import RefusedError
from cycler_ctl.terminal import remote
from cycler_ctl.terminal.asking import Asking
from cycler_ctl.terminal.queueing import Wish, act_on_queue, amend_run
from cycler_ctl.terminal.starting_many import start_many, targets_of

YES = Asking(yes=True)


def wish(action: str, *what: Path) -> Wish:
    return Wish("a1", action, tuple(map(str, what)), None, (), "K. Abe")


async def test_a_killed_service_keeps_the_queue_and_the_amendment_and_begins_nothing_by_itself(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    def said() -> Any:
        return json.loads(capsys.readouterr().out)

    guardian = await lab.serve()
    station, quick, longer = lab.folder / "station.toml", lab.folder / "quick.yaml", lab.folder / "longer.yaml"
    longer.write_text(quick.read_text(encoding="utf-8") + "  - rest: 7 s\n", encoding="utf-8")
    (lab.folder / "cells.csv").write_text("channel,cell\na1,\n")
    cells = targets_of([], lab.folder / "cells.csv", None)
    assert start_many(quick, cells, (), station, YES, as_json=True) == 0
    assert said()[0]["run"] == lab.run_dir().name
    await until(lambda: bool(lab.channel()["step"]))
    with pytest.raises(RefusedError, match="nothing was started"):
        start_many(quick, cells, (), station, YES, as_json=True)
    assert act_on_queue(wish("add", quick), station, YES, as_json=True) == 0
    (entry,) = said()["entries"]
    assert amend_run(wish("amend", longer), station, YES, as_json=True) == 0
    assert [one.split(" is new: ")[1] for one in said()["changes"]] == ["rest, ends at time >= 7 s"]
    for pid in (guardian.pid, lab.station_pid(guardian)):
        os.kill(pid, signal.SIGKILL)
    guardian.wait()

    await lab.serve()
    shown = lab.command("queue", "a1", "--json")
    queue = json.loads(shown.stdout)
    assert [one["id"] for one in queue["entries"]] == [entry["id"]]
    assert (queue["ready"], queue["held"].partition(":")[0]) == (None, "interrupted")
    with pytest.raises(RefusedError, match="release it first"):
        act_on_queue(wish("ready"), station, YES, as_json=True)
    assert not lab.bench.truth()["output_on"]
    assert remote.act("resume", "a1", station, YES) == 0
    assert lab.channel()["state"] == "running"
    with pytest.raises(RefusedError, match="does nothing else than the one that is running"):
        amend_run(wish("amend", longer), station, YES, as_json=True)
    assert "protocol amended by K. Abe" in lab.command("report", lab.run_dir().name).stdout
    assert remote.act("stop", "a1", station, YES) == 0
