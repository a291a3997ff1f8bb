"""AMD's and Intel's GPUs on Windows: the adapters that Windows lists, their memory from the registry.

NVIDIA's are read through the driver's library on every system. The list has every adapter that is there, but
its memory is a 32-bit number; the registry has the whole of it, but also adapters that are long gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, Final, NamedTuple

from advisor.hardware import Gpu, GpuSpec, HostMemory, Vendor
from advisor.i18n import _
from advisor.probes import amd_names, intel_names
from advisor.probes.answers import json_answer, objects, whole, words
from advisor.probes.found import FoundGpu, Reading, card_reading, combined, shared, sold_memory
from advisor.probes.source import Source
from advisor.units import MIB

ADAPTERS: Final = (
    "powershell",
    "-NoProfile",
    "-Command",
    "Get-CimInstance Win32_VideoController"
    " | Select Name,AdapterRAM,DriverVersion,PNPDeviceID,VideoProcessor | ConvertTo-Json",
)
REGISTRY: Final = "registry.display"
"""The name of the question in recordings."""
CLASS_KEY: Final = r"SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"
"""Display adapters, numbered 0000 and up (Microsoft's list of device setup classes)."""
MAX_ADAPTERS: Final = 100
MEMORY_VALUE: Final = "HardwareInformation.qwMemorySize"
PCI_DEVICE: Final = re.compile(
    r"PCI\\VEN_(1002|8086)&DEV_([0-9A-F]{4})(?:.*?&REV_([0-9A-F]{2}))?", re.IGNORECASE
)
VENDORS: Final[dict[str, Vendor]] = {"1002": "amd", "8086": "intel"}
MAKERS: Final[dict[Vendor, str]] = {"amd": "AMD", "intel": "Intel"}
INTEGRATED_PLACE: Final = re.compile(r"&0&10$")
"""End of the identifier of PCI device 2 on the root bus, where Intel's processors have their GPU."""
NO_DRIVER: Final = "Microsoft Basic Display"
"""The adapter's name while Windows drives it without the maker's driver."""
ADAPTER_RAM_TOP: Final = 4095 * MIB
"""AdapterRAM holds 32 bits: what is here or above may be any larger size."""
SHARED_SHARE: Final = 0.5
"""Of the RAM that Windows sees, what it lets an integrated GPU use (Intel's support article 000020962 of
2024-12-02). Intel's drivers since August 2025 can be set to more, which is told nowhere."""


class Adapter(NamedTuple):
    """A display adapter of AMD or Intel."""

    vendor: Vendor
    device: str
    name: str
    place: str
    driver: str | None
    memory: int | None
    """Dedicated, bytes, as the registry has it."""
    ram: int | None
    """Dedicated, bytes, as the list has it: some drivers write less than there is."""

    @property
    def integrated(self) -> bool:
        """Whether it shares the processor's memory."""
        if self.vendor == "amd":
            return amd_names.is_integrated(self.device)
        at_home = INTEGRATED_PLACE.search(self.place) is not None and self.device not in intel_names.DISCRETE
        return at_home or self.device in intel_names.INTEGRATED


def read_windows(source: Source, memory: HostMemory, specs: Sequence[GpuSpec] = ()) -> Reading:
    """AMD's and Intel's GPUs; what of their memory is free, Windows does not tell.

    memory: the host's, which an integrated GPU shares. specs: the hardware catalog's rows, for the memory of
    cards where nothing tells it.
    """
    if source.platform != "win32":
        return Reading()
    listed = json_answer(source.run(*ADAPTERS))
    if listed is None:
        return Reading(notes=(_("PowerShell did not list the display adapters in time: try again."),))
    registered = source.ask(REGISTRY, lambda: registered_adapters(import_module("winreg")))
    kept = [row for row in registered if isinstance(row, dict)] if isinstance(registered, list) else []
    return combined(_read(adapter, memory, specs) for adapter in _adapters(listed, kept))


def registered_adapters(winreg: ModuleType) -> list[dict[str, Any]]:
    """Display adapters of the registry, those no longer there included: device, name and memory in bytes."""
    found = []
    for number in range(MAX_ADAPTERS):
        try:
            key = winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, rf"{CLASS_KEY}\{number:04d}")
        except OSError:  # numbers need not be without gaps
            continue
        with key:
            found.append(
                {
                    "device": _value(winreg, key, "MatchingDeviceId"),
                    "name": _value(winreg, key, "DriverDesc"),
                    "memory": _value(winreg, key, MEMORY_VALUE),
                }
            )
    return found


def _value(winreg: ModuleType, key: Any, name: str) -> str | int | None:
    try:
        value = winreg.QueryValueEx(key, name)[0]
    except OSError:
        return None
    if isinstance(value, bytes):  # some drivers write the number so
        return int.from_bytes(value, "little")
    return value if isinstance(value, str | int) else None


def _adapters(answer: Any, registered: Sequence[dict[str, Any]]) -> Iterator[Adapter]:
    """Adapters on the PCI bus: software's (remote desktops, virtual screens) are not."""
    for row in objects(answer):
        place = words(row.get("PNPDeviceID"))
        found = PCI_DEVICE.match(place)
        if found is None:
            continue
        vendor, device, revision = VENDORS[found[1]], found[2].lower(), (found[3] or "").lower()
        told = words(row.get("Name"))
        known = amd_names.known_name(device, revision) if vendor == "amd" else None
        yield Adapter(
            vendor=vendor,
            device=device,
            name=told if told.startswith(NO_DRIVER) else known or told or f"{MAKERS[vendor]} GPU {device}",
            place=place,
            driver=words(row.get("DriverVersion")) or None,
            memory=_registered_memory(row, found, registered),
            ram=_listed_memory(row),
        )


def _registered_memory(
    row: dict[str, Any], device: re.Match[str], registered: Sequence[dict[str, Any]]
) -> int | None:
    for entry in registered:
        other = PCI_DEVICE.match(words(entry.get("device")))
        same = other is not None and other[2].lower() == device[2].lower() and other[1] == device[1]
        size = whole(entry.get("memory"))
        if size and (same or words(entry.get("name")) == words(row.get("Name")) != ""):
            return size
    return None


def _listed_memory(row: dict[str, Any]) -> int | None:
    size = whole(row.get("AdapterRAM"))
    return size if size and size < ADAPTER_RAM_TOP else None


def _read(adapter: Adapter, memory: HostMemory, specs: Sequence[GpuSpec]) -> Reading:
    if adapter.name.startswith(NO_DRIVER):
        note = _("An {maker} GPU is there without its driver: install it from {maker}.")
        return Reading(notes=(note.format(maker=MAKERS[adapter.vendor]),))
    gpu = Gpu(index=0, name=adapter.name, vendor=adapter.vendor, vram_bytes=0, driver=adapter.driver)
    if adapter.integrated:
        return Reading(gpus=(_integrated(adapter, gpu, memory),))
    sold = sold_memory(adapter.name, adapter.vendor, specs)
    return card_reading(gpu, adapter.memory or (None if sold else adapter.ram), sold)


def _integrated(adapter: Adapter, gpu: Gpu, memory: HostMemory) -> FoundGpu:
    """AMD sets memory aside; Intel's dedicated memory is fiction for old programs (its article says)."""
    lent = shared(gpu, int(memory.total_bytes * SHARED_SHARE), memory)
    set_aside = adapter.memory or adapter.ram
    if adapter.vendor == "intel" or not set_aside:
        return FoundGpu(gpu=lent)
    pooled = {"vram_bytes": lent.vram_bytes + set_aside, "free_bytes": None}
    return FoundGpu(gpu=lent.model_copy(update=pooled), carve_out_bytes=set_aside)
