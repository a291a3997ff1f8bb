"""Who holds the memory of GPUs on Linux, as the kernel's DRM drivers tell by program (/proc/*/fdinfo).

The keys are those of the kernel's drm-usage-stats: amdgpu calls a card's own memory "vram", xe "vram0" and
i915 "local0"; RAM that amdgpu lends to a GPU is "gtt". A program that opened a card twice, or shares it with
its children, is one client and counts once. Of the programs only their names are gathered.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from advisor.probes.found import FoundGpu, users_of
from advisor.probes.source import Source
from advisor.units import GIB, KIB, MIB

QUESTION: Final = "gpu users"
"""The name of the question in recordings."""
NODES: Final = "dev/dri/renderD*"
NODE_FOLDER: Final = "/dev/dri/"
KEYS: Final = ("drm-resident-", "drm-memory-", "drm-total-")
"""The same figure by age: what is in the memory, that in older drivers, what was asked for."""
OWN: Final = ("vram", "vram0", "local0")
LENT: Final = "gtt"
UNITS: Final = {"": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB}
SIZE: Final = re.compile(r"(\d{1,18})(?: ([KMG]iB))?")


def read_users(source: Source) -> tuple[dict[str, Any], ...]:
    """What each program holds on each card, as {"bus", "name", "own", "lent"}; sizes in bytes."""
    if source.platform != "linux" or not source.glob(NODES):
        return ()
    told = source.ask(QUESTION, lambda: list(gather(Path("/proc"))))
    return tuple(told) if isinstance(told, list) else ()


def with_users(found: FoundGpu, told: Sequence[Mapping[str, Any]]) -> FoundGpu:
    """The GPU with the programs that hold its memory; a part of a card has none of its own."""
    if found.bus is None or found.gpu.mig:
        return found
    held = (
        {"name": user["name"], "bytes": user["own"] + (user["lent"] if found.gpu.unified else 0)}
        for user in told
        if user["bus"] == found.bus
    )
    users = tuple(users_of(user for user in held if user["bytes"]))
    return found._replace(gpu=found.gpu.model_copy(update={"users": users}))


def gather(proc: Path) -> Iterator[dict[str, Any]]:
    """Every client of every card that this account may look at; proc: where /proc is."""
    seen: set[tuple[str, str]] = set()
    for process in proc.iterdir():
        if not process.name.isdecimal():
            continue
        for text in _infos(process):
            told = parse_fdinfo(text)
            client = told.get("drm-pdev", ""), told.get("drm-client-id", "")
            if all(client) and client not in seen:
                seen.add(client)
                own = sum(held(told, region) for region in OWN)
                yield {"bus": client[0], "name": _name(process), "own": own, "lent": held(told, LENT)}


def parse_fdinfo(text: str) -> dict[str, str]:
    """The lines of "key: value"."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def held(told: Mapping[str, str], region: str) -> int:
    """Bytes in a region of memory; 0 where the driver has no such region."""
    written = next((told[key + region] for key in KEYS if key + region in told), "")
    size = SIZE.fullmatch(written)
    return int(size[1]) * UNITS[size[2] or ""] if size else 0


def _infos(process: Path) -> Iterator[str]:
    """What the kernel tells of the cards that the process has open, where this account may see it."""
    for link in _listed(process / "fd"):
        try:
            if os.readlink(link).startswith(NODE_FOLDER):
                yield (process / "fdinfo" / link.name).read_text(errors="replace")
        except OSError:  # closed since
            continue


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _name(process: Path) -> str | None:
    """The program's name without folder and arguments, which may tell secrets."""
    try:
        path = os.fsencode(os.readlink(process / "exe")).decode(errors="replace")
    except OSError:
        return None
    return path.removesuffix(" (deleted)").rpartition("/")[2] or None
