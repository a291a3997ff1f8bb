"""Intel's GPUs by PCI device number, named as Intel's compute runtime and Windows name them.

The numbers and names are those of Mesa's include/pci_ids/iris_pci_ids.h, of the compute runtime's
devices_base.inl and of the PCI ID repository, as of 2026-11-21; those of Panther Lake are of
github.com/intel/compute-runtime/pull/891 and github.com/intel/media-driver/pull/2032.
"""

from __future__ import annotations

import re
from typing import Final

DISCRETE: Final = {
    "0bd5": "Intel(R) Data Center GPU Max 1550",
    "0bd6": "Intel(R) Data Center GPU Max 1550",
    "0bd9": "Intel(R) Data Center GPU Max 1100",
    "0bda": "Intel(R) Data Center GPU Max 1100",
    "0bdb": "Intel(R) Data Center GPU Max 1100",
    "4905": "Intel(R) Iris(R) Xe MAX Graphics",
    "5690": "Intel(R) Arc(TM) A770M Graphics",
    "5691": "Intel(R) Arc(TM) A730M Graphics",
    "5692": "Intel(R) Arc(TM) A550M Graphics",
    "5693": "Intel(R) Arc(TM) A370M Graphics",
    "5694": "Intel(R) Arc(TM) A350M Graphics",
    "5696": "Intel(R) Arc(TM) A570M Graphics",
    "5697": "Intel(R) Arc(TM) A530M Graphics",
    "56a0": "Intel(R) Arc(TM) A770 Graphics",
    "56a1": "Intel(R) Arc(TM) A750 Graphics",
    "56a2": "Intel(R) Arc(TM) A580 Graphics",
    "56a5": "Intel(R) Arc(TM) A380 Graphics",
    "56a6": "Intel(R) Arc(TM) A310 Graphics",
    "56b0": "Intel(R) Arc(TM) Pro A30M Graphics",
    "56b1": "Intel(R) Arc(TM) Pro A40/A50 Graphics",
    "56b2": "Intel(R) Arc(TM) Pro A60M Graphics",
    "56b3": "Intel(R) Arc(TM) Pro A60 Graphics",
    "56c0": "Intel(R) Data Center GPU Flex 170",
    "56c1": "Intel(R) Data Center GPU Flex 140",
    "56c2": "Intel(R) Data Center GPU Flex 170V",
    "e20b": "Intel(R) Arc(TM) B580 Graphics",
    "e20c": "Intel(R) Arc(TM) B570 Graphics",
    "e211": "Intel(R) Arc(TM) Pro B60 Graphics",
    "e212": "Intel(R) Arc(TM) Pro B50 Graphics",
    "e223": "Intel(R) Arc(TM) Pro B70 Graphics",
}
"""Cards with memory of their own."""

INTEGRATED: Final = {
    "3e91": "Intel(R) UHD Graphics 630",
    "3e92": "Intel(R) UHD Graphics 630",
    "3e98": "Intel(R) UHD Graphics 630",
    "3e9b": "Intel(R) UHD Graphics 630",
    "3ea0": "Intel(R) UHD Graphics 620",
    "4680": "Intel(R) UHD Graphics 770",
    "4682": "Intel(R) UHD Graphics 730",
    "4690": "Intel(R) UHD Graphics 770",
    "4692": "Intel(R) UHD Graphics 730",
    "4693": "Intel(R) UHD Graphics 710",
    "46a6": "Intel(R) Iris(R) Xe Graphics",
    "46a8": "Intel(R) Iris(R) Xe Graphics",
    "46aa": "Intel(R) Iris(R) Xe Graphics",
    "46d0": "Intel(R) UHD Graphics",
    "46d1": "Intel(R) UHD Graphics",
    "46d2": "Intel(R) UHD Graphics",
    "4c8a": "Intel(R) UHD Graphics 750",
    "4c8b": "Intel(R) UHD Graphics 730",
    "5912": "Intel(R) HD Graphics 630",
    "5916": "Intel(R) HD Graphics 620",
    "5917": "Intel(R) UHD Graphics 620",
    "64a0": "Intel(R) Arc(TM) 130V or 140V GPU",
    "7d41": "Intel(R) Graphics",
    "7d45": "Intel(R) Graphics",
    "7d51": "Intel(R) Arc(TM) 130T or 140T GPU",
    "7d55": "Intel(R) Arc(TM) Graphics",
    "7d67": "Intel(R) Graphics",
    "8a52": "Intel(R) Iris(R) Plus Graphics",
    "9a40": "Intel(R) Iris(R) Xe Graphics",
    "9a49": "Intel(R) Iris(R) Xe Graphics",
    "9a60": "Intel(R) UHD Graphics",
    "9bc4": "Intel(R) UHD Graphics",
    "9bc5": "Intel(R) UHD Graphics 630",
    "9bc8": "Intel(R) UHD Graphics 630",
    "a780": "Intel(R) UHD Graphics 770",
    "a7a0": "Intel(R) Iris(R) Xe Graphics",
    "a7a1": "Intel(R) Iris(R) Xe Graphics",
    "b080": "Intel(R) Arc(TM) B390 GPU",
    "b081": "Intel(R) Arc(TM) B370 GPU",
    "b082": "Intel(R) Arc(TM) B390 GPU",
    "b083": "Intel(R) Arc(TM) B370 GPU",
    "b084": "Intel(R) Arc(TM) Pro B390 GPU",
}
"""GPUs that share the processor's memory; others are known by their place on the bus."""

ULTRA: Final = re.compile(r"Ultra ([579]) 2\d\d(V|H)\b")
"""A Core Ultra of the second series in a processor's name: its class and its line."""
OF_ULTRA: Final = {
    ("64a0", "5", "V"): "Intel(R) Arc(TM) 130V GPU",
    ("64a0", "7", "V"): "Intel(R) Arc(TM) 140V GPU",
    ("64a0", "9", "V"): "Intel(R) Arc(TM) 140V GPU",
    ("7d51", "7", "H"): "Intel(R) Arc(TM) 140T GPU",
    ("7d51", "9", "H"): "Intel(R) Arc(TM) 140T GPU",
}
"""PCI device, class and line → the GPU: one number stands for two, and the processor decides which it is
(Intel's product pages of the Core Ultra 200V and 200H, as of 2026-11-21)."""


def known_name(device: str, processor: str) -> str | None:
    """The name for a number as /sys has it, without "0x"; processor: its full name, "" where not known."""
    found = ULTRA.search(processor)
    exact = OF_ULTRA.get((device, found[1], found[2])) if found else None
    return exact or DISCRETE.get(device) or INTEGRATED.get(device)
