"""A coroutine test in virtual time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import ParamSpec

from virtual_loop import leap

Given = ParamSpec("Given")


def virtually(test: Callable[Given, Coroutine[object, object, None]]) -> Callable[Given, None]:
    @functools.wraps(test)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> None:
        leap(test(*args, **kwargs))

    return run
