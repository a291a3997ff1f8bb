"""Graphics cards on Linux's PCI bus: seen even where their driver is missing."""

from __future__ import annotations

from typing import Final

from advisor.hardware import Vendor
from advisor.probes.source import Source

PCI_VENDORS: Final[dict[str, Vendor]] = {"0x10de": "nvidia", "0x1002": "amd", "0x8086": "intel"}
DISPLAY_CLASSES: Final = ("0x03", "0x12")
"""PCI base classes of display controllers (VGA, 3D and others) and of accelerators (Instinct, Gaudi)."""


def display_vendors(source: Source) -> frozenset[Vendor]:
    """Makers of the display controllers on the bus; empty where the system does not show it."""
    found = set()
    for path in source.glob("sys/bus/pci/devices/*/class"):
        vendor = PCI_VENDORS.get((source.text(f"{path.removesuffix('class')}vendor") or "").strip())
        if vendor and (source.text(path) or "").startswith(DISPLAY_CLASSES):
            found.add(vendor)
    return frozenset(found)
