"""AMD GPUs on Linux: what the kernel's driver shows under /sys, which needs no tool, then what tools add.

A card has memory of its own. An integrated GPU has a carve-out of the RAM, which the system does not count as
its own, and may map more of the RAM (GTT): together one pool. A partitioned accelerator is as many GPUs as it
has partitions, each with an even part of the memory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from advisor.hardware import Gpu, GpuSpec, HostMemory
from advisor.i18n import _, ngettext
from advisor.probes import drm
from advisor.probes.amd_names import APP_APUS, is_integrated, known_name
from advisor.probes.amd_tools import ToolGpu, read_amd_tools
from advisor.probes.answers import whole
from advisor.probes.found import FoundGpu, Reading, card_reading, combined, shared, sold_memory
from advisor.probes.source import Source

AMD: Final = "0x1002"
KFD: Final = "dev/kfd"
KFD_NODES: Final = "sys/class/kfd/kfd/topology/nodes"
WHOLE: Final = ("", "SPX")
"""Compute partition of an accelerator that is one GPU; others divide it."""
PARTITION_BITS: Final = 7
"""Of a node's location: partitions take the place of the PCI function."""

DEVICES: Final = "--device /dev/kfd --device /dev/dri --group-add video --group-add render"
"""What a container is started with to use AMD GPUs (AMD's ROCm documentation, read 2026-11-21)."""
PRODUCT_GAP: Final = re.compile(r"[_\s]+")


class Card(NamedTuple):
    """What /sys and the tools tell of a card; sizes in bytes."""

    folder: str
    device: str
    bus: str | None
    name: str | None
    total: int | None
    used: int | None

    @property
    def title(self) -> str:
        """How to call it."""
        return self.name or f"AMD GPU {self.device}".strip()


def read_amd(source: Source, memory: HostMemory, specs: Sequence[GpuSpec] = ()) -> Reading:
    """All AMD GPUs of a Linux machine, in the kernel's order; a damaged entry is left out with a note.

    memory: the host's, which an integrated GPU shares. specs: the hardware catalog's rows, for the memory of
    cards whose driver does not tell it.
    """
    if source.platform != "linux":
        return Reading()
    folders = drm.cards(source, AMD)
    usable = [folder for folder in folders if drm.reachable(source, folder)]
    cards = _with_tools(source, [_card(source, folder) for folder in usable])
    reading = combined(_read(source, card, memory, specs) for card in cards)
    lacking = _device_notes(source, len(folders) - len(usable), bool(reading.gpus))
    return combined((Reading(notes=lacking), reading))


def _card(source: Source, folder: str) -> Card:
    device = drm.device_id(source, folder)
    revision = drm.text(source, f"{folder}/revision").removeprefix("0x").lower()
    product = PRODUCT_GAP.sub(" ", drm.text(source, f"{folder}/product_name"))
    return Card(
        folder=folder,
        device=device,
        bus=drm.address(source, folder),
        name=known_name(device, revision) or product or None,  # data centre cards have the board's name
        total=drm.number(source, f"{folder}/mem_info_vram_total") or None,
        used=drm.number(source, f"{folder}/mem_info_vram_used"),
    )


def _with_tools(source: Source, cards: list[Card]) -> list[Card]:
    """The cards with what tools tell where /sys does not, and those that only tools tell of."""
    complete = all(card.name and card.total is not None for card in cards)
    if complete and (cards or not source.glob(KFD)):
        return cards
    told = read_amd_tools(source)
    if not cards:
        return [Card("", "", gpu.bus, gpu.name, gpu.total_bytes, gpu.used_bytes) for gpu in told]
    by_bus = {gpu.bus: gpu for gpu in told}
    lone = told[0] if len(told) == len(cards) == 1 else ToolGpu()
    return [_joined(card, by_bus.get(card.bus, lone)) for card in cards]


def _joined(card: Card, told: ToolGpu) -> Card:
    return card._replace(
        name=card.name or told.name,
        total=told.total_bytes if card.total is None else card.total,
        used=told.used_bytes if card.used is None else card.used,
    )


def _read(source: Source, card: Card, memory: HostMemory, specs: Sequence[GpuSpec]) -> Reading:
    gpu = Gpu(index=0, name=card.title, vendor="amd", vram_bytes=0, free_bytes=_free(card))
    sold = sold_memory(card.title, "amd", specs)
    remedy = _(
        "{gpu} is there, but its memory could not be read: load the amdgpu driver, or name it with --hardware"
        " to plan for it."
    )
    reading = card_reading(gpu, card.total, sold, bus=card.bus, remedy=remedy)
    mode = drm.text(source, f"{card.folder}/current_compute_partition") if card.folder else ""
    if is_integrated(card.device):
        pooled = tuple(_integrated(source, card, found.gpu, memory) for found in reading.gpus)
        return reading._replace(gpus=pooled)
    if reading.gpus and mode not in WHOLE:
        return _slices(source, card, reading.gpus[0].gpu, mode)
    return reading


def _free(card: Card) -> int | None:
    if card.total is None or card.used is None:
        return None
    return max(0, card.total - card.used)


def _integrated(source: Source, card: Card, gpu: Gpu, memory: HostMemory) -> FoundGpu:
    if card.device in APP_APUS:  # nothing is set aside: its memory is the system's
        return FoundGpu(gpu=shared(gpu, gpu.vram_bytes, memory), bus=card.bus)
    limits = (
        drm.number(source, f"{card.folder}/mem_info_gtt_total") or 0,
        memory.total_bytes,
        drm.shared_limit(source),
    )
    mapped = min(limit for limit in limits if limit is not None)
    room = max(0, mapped - (drm.number(source, f"{card.folder}/mem_info_gtt_used") or 0))
    if memory.available_bytes is not None:
        room = min(room, memory.available_bytes)
    free = gpu.free_bytes
    pooled = {
        "memory": "unified",
        "vram_bytes": gpu.vram_bytes + mapped,
        "free_bytes": None if free is None else free + room,
    }
    return FoundGpu(
        gpu=gpu.model_copy(update=pooled),
        carve_out_bytes=gpu.vram_bytes,
        carve_out_free_bytes=free or 0,
        bus=card.bus,
    )


def _slices(source: Source, card: Card, gpu: Gpu, mode: str) -> Reading:
    """The partitions of an accelerator, as the kernel's compute driver lists them.

    What is in use is told for the whole alone: at least the rest is free in each of them.
    """
    sizes = _partition_sizes(source, card.bus)
    if not sizes:
        note = _("{gpu} is divided ({mode}), and its parts could not be read.")
        return Reading(notes=(note.format(gpu=gpu.name, mode=mode),))
    used = card.used
    slices = (
        gpu.model_copy(
            update={
                "vram_bytes": total,
                "free_bytes": None if used is None else max(0, total - used),
                "mig": True,
            }
        )
        for total in sizes
    )
    return Reading(gpus=tuple(FoundGpu(gpu=piece, bus=card.bus) for piece in slices))


def _partition_sizes(source: Source, bus: str | None) -> list[int]:
    """Memory of each compute node on the card at this address, bytes."""
    if bus is None:
        return []
    domain, number, rest = bus.split(":")
    device = rest.partition(".")[0]
    place = (int(domain, 16), int(number, 16) << 8 | int(device, 16) << 3)
    sizes = []
    for path in source.glob(f"{KFD_NODES}/*/properties"):
        node = _properties(source, path)
        location = node.get("location_id", 0) & 0xFFFF & ~PARTITION_BITS
        if node.get("vendor_id") == int(AMD, 16) and (node.get("domain", 0), location) == place:
            banks = source.glob(f"{path.removesuffix('/properties')}/mem_banks/*/properties")
            sizes.append(sum(_properties(source, bank).get("size_in_bytes", 0) for bank in banks))
    return [total for total in sizes if total]


def _properties(source: Source, path: str) -> dict[str, int]:
    pairs = (line.split() for line in drm.text(source, path).splitlines())
    numbers = ((pair[0], whole(pair[1])) for pair in pairs if len(pair) == 2)
    return {name: value for name, value in numbers if value is not None}


def _device_notes(source: Source, hidden: int, found: bool) -> tuple[str, ...]:
    """What a container lacks to use the GPUs that /sys shows it."""
    if hidden:
        note = ngettext(
            "An AMD GPU is there, but not passed to this container: start it with {devices}.",
            "{n} AMD GPUs are there, but not passed to this container: start it with {devices}.",
            hidden,
        )
        return (note.format(n=hidden, devices=DEVICES),)
    if found and source.glob(f"{KFD_NODES}/*") and not source.glob(KFD):
        note = _(
            "/dev/kfd is not there, so ROCm cannot use the AMD GPU (Vulkan can):"
            " in a container, start it with {devices}."
        )
        return (note.format(devices=DEVICES),)
    return ()
