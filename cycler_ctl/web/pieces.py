"""JSON of long answers, made piece by piece: a piece holds the interpreter until it is done, and control waits for it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TypeGuard

MOST = 500
"""Values in one piece; some 0.2 ms."""
_whole = partial(json.dumps, allow_nan=False)


def in_pieces(value: object) -> bytes:
    """As ``json.dumps`` would; ValueError for what is no number."""
    return "".join(pieces(value)).encode()


def pieces(value: object) -> Iterator[str]:
    """Whatever holds lists or objects is taken apart, and a long list of plain values as well."""
    if _is_object(value) and _holds_more(value.values()):
        opened = "{"
        for name, each in value.items():
            yield f"{opened}{_whole(name)}: "
            yield from pieces(each)
            opened = ", "
        yield "}"
    elif _is_list(value) and (len(value) > MOST or _holds_more(value)):
        opened = "["
        for part in _parts(value):
            yield opened
            yield from part
            opened = ", "
        yield "]"
    else:
        yield _whole(value)


def _parts(values: list[object]) -> Iterator[Iterable[str]]:
    if _holds_more(values):
        yield from map(pieces, values)
    else:
        yield from ((_whole(values[at : at + MOST])[1:-1],) for at in range(0, len(values), MOST))


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _holds_more(values: Iterable[object]) -> bool:
    return any(isinstance(value, dict | list) for value in values)
