"""A lab's own command that cuts the power, for an output that does not go off: run with a limit, believed in nothing.

``[escalation] command`` of station.toml. It learns from its environment which channel it is about, and its exit status
is told; that an output is off is believed only of the instrument itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys

from cycler_ctl.watching.register import SafeOffEntry

COMMAND_S = 10.0


async def switch_off(channel: str, entry: SafeOffEntry) -> tuple[bool, str]:
    """Whether the command ended with status 0, and in words what became of it. ``entry.relay`` must not be empty."""
    told = {
        "CYCLER_CTL_CHANNEL": channel,
        "CYCLER_CTL_INSTRUMENT": entry.name,
        "CYCLER_CTL_ADDRESS": entry.address,
    }
    what = f"the escalation command {' '.join(entry.relay)}"
    try:
        process = await asyncio.create_subprocess_exec(
            *entry.relay,
            env={**os.environ, **told},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # what it has to say of a failure belongs on its standard error: in the log
            start_new_session=sys.platform != "win32",
        )
    except OSError as error:
        return False, f"{what} could not be started: {error}"
    status = await _ended(process)
    if status is None:
        return False, f"{what} had not ended after {COMMAND_S:g} s and was killed"
    return status == 0, f"{what} ended with status {status}"


async def _ended(process: asyncio.subprocess.Process) -> int | None:
    try:
        async with asyncio.timeout(COMMAND_S):
            return await process.wait()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
