"""A coroutine test in virtual time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine

from virtual_loop import leap


def virtually(test: Callable[[], Coroutine[object, object, None]]) -> Callable[[], None]:
    @functools.wraps(test)
    def run() -> None:
        leap(test())

    return run
