"""What an installed wheel says that it needs, linked into its environment from ours: nothing else, and nothing unpacked anew."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement

Need = tuple[str, frozenset[str]]
"""A distribution and its extras."""


def link_needs(site: Path, name: str, extras: Iterable[str]) -> None:
    """``site`` is the folder of packages that the wheel has been installed into."""
    (wheel,) = distributions(name=name, path=[str(site)])
    for need in needs(wheel, extras):
        link(distribution(need), site)


def needs(wheel: Distribution, extras: Iterable[str]) -> set[str]:
    """The names of all that it needs, and of what those need in turn."""
    found: set[Need] = set()
    waiting = wanted(wheel, extras)
    while waiting:
        one = waiting.pop()
        need = (one.name, frozenset(one.extras))
        if need in found:
            continue
        found.add(need)
        ours = distribution(one.name)
        assert one.specifier.contains(ours.version, prereleases=True), f"{one} is needed, {ours.version} is here"
        waiting += wanted(ours, one.extras)
    return {name for name, _ in found}


def wanted(who: Distribution, extras: Iterable[str]) -> list[Requirement]:
    """What applies on this machine, with these extras."""
    chosen = ("", *extras)
    all_of_them = [Requirement(text) for text in who.requires or ()]
    return [
        one
        for one in all_of_them
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in chosen)
    ]


def link(ours: Distribution, site: Path) -> None:
    """Packages as a whole, and the programs and manuals that came with them one by one."""
    files = ours.files or ()
    tops = {file.parts[0] for file in files} - {"..", "__pycache__"}
    beside = {file.as_posix() for file in files if file.parts[0] == ".."}
    for entry in tops | beside:
        place = site / entry
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(Path(str(ours.locate_file(entry))).resolve())
