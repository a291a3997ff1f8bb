"""What tools tell of Intel's cards: xpu-smi (Intel's own), and clinfo, which asks OpenCL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from advisor.probes.answers import json_answer, objects, rows, whole, words
from advisor.probes.drm import PCI_ADDRESS
from advisor.probes.source import Source

DISCOVERY: Final = ("xpu-smi", "discovery", "-j")
CLINFO: Final = ("clinfo", "--json")
LIMIT_S: Final = 0.7
"""For each: three of them may hang before detection takes longer than it may."""
PHYSICAL: Final = "memory_physical_size_byte"
MAX_DEVICE: Final = 64
"""More cards than this are in no machine."""
INTEL_VENDOR: Final = re.compile(r"\bIntel\b", re.IGNORECASE)
UNNAMED: Final = "[0x"
"""In names such as "Intel(R) Graphics [0x56a0]": the tool is older than the card."""


class ToolGpu(NamedTuple):
    """A card as a tool tells of it; sizes in bytes."""

    bus: str | None = None
    name: str | None = None
    total_bytes: int | None = None
    free_bytes: int | None = None


def read_xpu_smi(source: Source) -> tuple[ToolGpu, ...]:
    """The cards that xpu-smi tells of; the first that it does not answer for ends the questions."""
    found = []
    for row in rows(json_answer(source.run(*DISCOVERY, limit_s=LIMIT_S))):
        number = whole(row.get("device_id"))
        if number is None or number > MAX_DEVICE:
            continue
        answer = source.run("xpu-smi", "discovery", "-d", str(number), "-j", limit_s=LIMIT_S)
        if answer is None:
            break
        details = next((o for o in objects(json_answer(answer)) if PHYSICAL in o), {})
        told = {**details, **row}
        found.append(
            ToolGpu(
                bus=_address(told.get("pci_bdf_address")),
                name=_name(told.get("device_name")),
                total_bytes=whole(told.get(PHYSICAL)) or None,
                free_bytes=whole(told.get("memory_free_size_byte")),
            )
        )
    return tuple(found)


def read_clinfo(source: Source) -> tuple[ToolGpu, ...]:
    """Intel's cards with memory of their own that OpenCL programs see, and what they may use of it."""
    return tuple(_opencl(json_answer(source.run(*CLINFO, limit_s=LIMIT_S))))


def _opencl(answer: Any) -> Iterator[ToolGpu]:
    for row in objects(answer):
        total = whole(row.get("CL_DEVICE_GLOBAL_MEM_SIZE"))
        if total is None or not INTEL_VENDOR.search(words(row.get("CL_DEVICE_VENDOR"))):
            continue
        if "GPU" not in str(row.get("CL_DEVICE_TYPE")) or row.get("CL_DEVICE_HOST_UNIFIED_MEMORY") is True:
            continue
        yield ToolGpu(
            bus=_address(row.get("CL_DEVICE_PCI_BUS_INFO_KHR")),
            name=_name(row.get("CL_DEVICE_NAME")),
            total_bytes=total or None,
        )


def _name(value: Any) -> str | None:
    name = words(value)
    return None if UNNAMED in name else name or None


def _address(value: Any) -> str | None:
    found = PCI_ADDRESS.search(words(value).lower())
    return found[0] if found else None
