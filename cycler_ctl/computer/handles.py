"""How many files and sockets this process may have open: a channel takes about eight, and a shell gives 1 024 in all."""

from __future__ import annotations

import sys
from contextlib import suppress

MOST = 65_536


def take_handles() -> None:
    """As many as the computer lets us have, within reason; Windows sets no such limit."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
        if soft != resource.RLIM_INFINITY and soft < most:
            with suppress(OSError, ValueError):  # macOS promises more than it gives
                resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
