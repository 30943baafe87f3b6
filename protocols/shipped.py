"""The protocol files that ship with the program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).parent / "library"
CELLS = "cell_"
"""Files that begin so describe a cell; protocols include them."""


def library() -> Mapping[str, Path]:
    """Each shipped protocol by its name, e.g. ``fig_s3_a``, in alphabetical order."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml")) if not path.stem.startswith(CELLS)}


def library_files() -> tuple[Path, ...]:
    """All that belongs together: the protocols, the cells they include, the schemas their first lines name."""
    return tuple(sorted((*FOLDER.glob("*.yaml"), *FOLDER.glob("*.json"))))
