"""A child process in a group of its own, so that only its parent speaks to it and nothing of it is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence


async def start_child(command: Sequence[str], env: Mapping[str, str]) -> asyncio.subprocess.Process:
    """Input and output are pipes. The terminal's Ctrl-C goes to the guardian only, so that the child ends in order."""
    pipe = asyncio.subprocess.PIPE
    if sys.platform == "win32":
        group = subprocess.CREATE_NEW_PROCESS_GROUP
        return await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=env, creationflags=group)
    return await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=env, start_new_session=True)


def kill_child(child: asyncio.subprocess.Process) -> None:
    """The child and what it started. A stopped process dies of this too."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the second of a dead one
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)
