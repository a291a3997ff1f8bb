"""Linux's graphics cards under /sys/class/drm, whoever made them."""

from __future__ import annotations

import re
from typing import Final

from advisor.probes.answers import whole
from advisor.probes.source import Source

CARD: Final = re.compile(r"sys/class/drm/card(\d{1,4})/device/vendor")
PCI_ADDRESS: Final = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
PAGE_BYTES: Final = 4096
"""Of the processors that GPUs with a TTM driver share memory with (x86-64)."""


def cards(source: Source, vendor: str) -> tuple[str, ...]:
    """Device folders of the maker's cards, in the kernel's order; vendor: as the file says, "0x1002"."""
    found = []
    for path in source.glob("sys/class/drm/card*/device/vendor"):
        card = CARD.fullmatch(path)  # the others are a card's connectors
        if card and text(source, path) == vendor:
            found.append((int(card[1]), path.removesuffix("/vendor")))
    return tuple(folder for _, folder in sorted(found))


def text(source: Source, path: str) -> str:
    """A file's text without its margins; "" where it cannot be read."""
    return (source.text(path) or "").strip()


def number(source: Source, path: str) -> int | None:
    """A file's number; None where there is none."""
    return whole(text(source, path))


def device_id(source: Source, folder: str) -> str:
    """The PCI device number, four lower-case digits."""
    return text(source, f"{folder}/device").removeprefix("0x").lower()


def event(source: Source, folder: str) -> dict[str, str]:
    """What the kernel tells of the device: DRIVER, PCI_SLOT_NAME and others."""
    lines = text(source, f"{folder}/uevent").splitlines()
    return {key: value for key, mark, value in (line.partition("=") for line in lines) if mark}


def address(source: Source, folder: str) -> str | None:
    """The card's place on the PCI bus: "0000:03:00.0"."""
    place = event(source, folder).get("PCI_SLOT_NAME", "").lower()
    return place if PCI_ADDRESS.fullmatch(place) else None


def reachable(source: Source, folder: str) -> bool:
    """Whether programs here can use the card: /sys shows every card to a container, /dev only what it got."""
    nodes = [path.rpartition("/")[2] for path in source.glob(f"{folder}/drm/renderD*")]
    return not nodes or any(source.glob(f"dev/dri/{node}") for node in nodes)


def shared_limit(source: Source) -> int | None:
    """Bytes of RAM that all drivers on TTM together (amdgpu, xe) may hand to GPUs: ttm.pages_limit."""
    pages = number(source, "sys/module/ttm/parameters/pages_limit")
    return None if pages is None else pages * PAGE_BYTES
