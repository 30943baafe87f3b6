"""A disk that has lost its power: what was synced is there, of the rest anything between nothing and everything.

Unsynced writes survive in pieces of a sector, whole, not at all, or as noise, whatever their order was; a name in a
folder survives only if everything before it in that folder did, and surely only once the folder was synced.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recorded_disk import Call

SECTOR = 512


@dataclass(slots=True)
class Content:
    """One file: its synced bytes, and the calls since."""

    synced: bytearray = field(default_factory=bytearray)
    since: list[Call] = field(default_factory=list[Call])


@dataclass(slots=True)
class Platter:
    """The disk's state after some calls. Files are known by number; a name leads to one."""

    contents: dict[int, Content] = field(default_factory=dict[int, Content])
    names: dict[str, int] = field(default_factory=dict[str, int])
    synced_names: dict[str, int] = field(default_factory=dict[str, int])
    folders: dict[str, list[Call]] = field(default_factory=dict[str, list[Call]])
    acked: int = -1
    """-1 until the run's making has returned."""

    def apply(self, call: Call) -> None:
        match call.what:
            case "ack":
                self.acked = call.at
            case "sync":
                if call.path in self.names:
                    content = self.contents[self.names[call.path]]
                    content.synced, content.since = _after(content, content.since), []
            case "write" | "truncate":
                self.contents[self.names[call.path]].since.append(call)
            case "sync folder":
                for done in self.folders.pop(call.path, []):
                    _rename(self.synced_names, done, self._number(done))
            case _:
                self._change_names(call)

    def _change_names(self, call: Call) -> None:
        if call.what == "create":
            number = len(self.contents)
            self.contents[number] = Content()
            call = Call("create", call.path, number)
        if call.what in {"unlink", "rename"} and call.path not in self.names:
            return  # a file that SQLite never had
        number = self.names.get(call.path, call.at)
        self.folders.setdefault(str(Path(call.path).parent), []).append(Call(call.what, call.path, number, to=call.to))
        _rename(self.names, call, number)

    def _number(self, call: Call) -> int:
        return call.at

    def cut(self, choose: random.Random, root: Path, image: Path) -> None:
        """Put what may be left of ``root`` under ``image``."""
        names = dict(self.synced_names)
        for calls in self.folders.values():
            for done in calls[: choose.randint(0, len(calls))]:
                _rename(names, done, done.at)
        for path, number in names.items():
            target = image / Path(path).relative_to(root)
            if number >= 0 and all(str(folder) in names for folder in _between(Path(path).parent, root)):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(_survivor(self.contents[number], choose))


def _between(folder: Path, root: Path) -> Iterator[Path]:
    while folder != root:
        yield folder
        folder = folder.parent


def _rename(names: dict[str, int], call: Call, number: int) -> None:
    if call.what == "mkdir":
        names[call.path] = -1
    elif call.what == "create":
        names[call.path] = number
    elif call.what == "unlink":
        names.pop(call.path, None)
    elif names.pop(call.path, None) is not None:
        names[call.to] = number


def _after(content: Content, calls: Sequence[Call]) -> bytearray:
    data = bytearray(content.synced)
    for call in calls:
        _put(data, call)
    return data


def _put(data: bytearray, call: Call) -> None:
    if call.what == "truncate":
        del data[call.at :]
        data.extend(bytes(max(0, call.at - len(data))))
        return
    data.extend(bytes(max(0, call.at - len(data))))
    data[call.at : call.at + len(call.data)] = call.data


def _survivor(content: Content, choose: random.Random) -> bytes:
    """Of the unsynced calls: none, all, the first ones, or any sectors, some of them as noise."""
    way = choose.choice(("none", "all", "first", "sectors", "sectors", "noise"))
    since = content.since
    if way == "none":
        return bytes(content.synced)
    if way == "all":
        return bytes(_after(content, since))
    if way == "first":
        return bytes(_after(content, since[: choose.randint(0, len(since))]))
    return bytes(_after(content, [piece for call in since for piece in _pieces(call, choose, noise=way == "noise")]))


def _pieces(call: Call, choose: random.Random, *, noise: bool) -> Iterator[Call]:
    if call.what == "truncate":
        if choose.random() < 0.5:
            yield call
        return
    at, end = call.at, call.at + len(call.data)
    while at < end:
        until = min(end, (at // SECTOR + 1) * SECTOR)
        fate = choose.random()
        if fate < 0.5:
            data = call.data[at - call.at : until - call.at]
            yield Call("write", call.path, at, choose.randbytes(until - at) if noise and fate < 0.1 else data)
        at = until
