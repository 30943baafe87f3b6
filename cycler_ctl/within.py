"""Calls into libraries and the system that may hang: waited for, but not for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T], failures: tuple[type[Exception], ...] = (OSError,)) -> T:
    """What the call returns, or raises of ``failures``; TimeoutError when it has not come back, and it is left behind."""
    results: list[T] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            results.append(call())
        except failures as error:
            errors.append(error)

    thread = threading.Thread(target=work, name="within", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no result within {seconds:g} s")
    return results[0]
