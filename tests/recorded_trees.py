"""Recorded /proc and /sys files (tests/machines/trees), laid out as a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

RECORDED: Final = Path(__file__).parent / "machines" / "trees"


def lay_out(name: str, folder: Path) -> Path:
    """Write the recorded files under the folder, which then stands for "/"."""
    for path, text in json.loads((RECORDED / f"{name}.json").read_text()).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder
