"""Recorded /proc and /sys files (tests/machines/trees), laid out as a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from advisor.probes.source import Live

RECORDED: Final = Path(__file__).parent / "machines" / "trees"


def lay_out(name: str, folder: Path) -> Path:
    """Write the recorded files under the folder, which then stands for "/"."""
    for path, text in json.loads((RECORDED / f"{name}.json").read_text()).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def tree_source(name: str, folder: Path, environ: Mapping[str, str] | None = None) -> Live:
    """The files of a recording as a Linux machine, laid out under the folder."""
    return linux(lay_out(name, folder), environ)


def linux(root: Path, environ: Mapping[str, str] | None = None) -> Live:
    """The files under a folder as a Linux machine."""
    source = Live(root, environ or {})
    source.platform = "linux"
    return source
