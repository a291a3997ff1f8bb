"""Graphics cards on Linux's PCI bus: seen even where their driver is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from advisor.hardware import Vendor

PCI_VENDORS: Final[dict[str, Vendor]] = {"0x10de": "nvidia", "0x1002": "amd", "0x8086": "intel"}
DISPLAY_CLASS: Final = "0x03"
"""PCI base class of display controllers: VGA, 3D and others."""


def display_vendors(root: Path) -> frozenset[Vendor]:
    """Makers of the display controllers on the bus; empty where the system does not show it."""
    found = set()
    for device in root.glob("sys/bus/pci/devices/*"):
        try:
            kind = (device / "class").read_text()
            vendor = PCI_VENDORS.get((device / "vendor").read_text().strip())
        except OSError:
            continue
        if vendor and kind.startswith(DISPLAY_CLASS):
            found.add(vendor)
    return frozenset(found)
