"""Intel GPUs on Linux: /sys for what there is, and where the memory of a card is told if anywhere.

The i915 driver of the mainline kernel tells no card's memory under /sys and xe only with some kernels; then
xpu-smi does, or OpenCL, or the name does where cards of that name have one size. An integrated GPU uses RAM,
as much as its driver lets it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from advisor.hardware import Gpu, GpuSpec, HostMemory
from advisor.i18n import N_, _
from advisor.probes import drm
from advisor.probes.found import FoundGpu, Reading, card_reading, combined, shared, sold_memory
from advisor.probes.intel_names import DISCRETE, INTEGRATED, known_name
from advisor.probes.intel_tools import ToolGpu, read_clinfo, read_xpu_smi
from advisor.probes.source import Source
from advisor.units import MIB

INTEL: Final = "0x8086"
INTEGRATED_ADDRESS: Final = "0000:00:02.0"
"""Where Intel's processors have their GPU."""
MEMORY_BAR: Final = 2
"""Line of a card's `resource` file with the window onto its memory (the kernel's i915 and xe: LMEM_BAR)."""
SMALL_BAR_BYTES: Final = 256 * MIB
"""The window's size without resizable BAR: it tells nothing of the memory."""
HIDDEN: Final = N_(
    "An Intel GPU is there, but not passed to this container: start it with --device /dev/dri."
)
TTM_SHARE: Final = 0.5
"""Of the RAM, what the kernel hands to GPUs where nobody set ttm.pages_limit (drivers/gpu/drm/ttm)."""


class Card(NamedTuple):
    """What /sys tells of a card; sizes in bytes."""

    folder: str
    device: str
    bus: str | None
    name: str | None
    total: int | None
    free: int | None = None

    @property
    def title(self) -> str:
        """How to call it."""
        return self.name or f"Intel GPU {self.device}".strip()

    @property
    def integrated(self) -> bool:
        """Whether it shares the processor's memory."""
        at_home = self.bus == INTEGRATED_ADDRESS and self.device not in DISCRETE
        return at_home or self.device in INTEGRATED


def read_intel(source: Source, memory: HostMemory, specs: Sequence[GpuSpec] = ()) -> Reading:
    """All Intel GPUs of a Linux machine, in the kernel's order.

    memory: the host's, which an integrated GPU shares. specs: the hardware catalog's rows, for the memory of
    cards where nothing tells it.
    """
    if source.platform != "linux":
        return Reading()
    folders = drm.cards(source, INTEL)
    usable = [folder for folder in folders if drm.reachable(source, folder)]
    cards = _with_tools(source, [_card(source, folder) for folder in usable])
    lacking = Reading(notes=(_(HIDDEN),) if len(usable) < len(folders) else ())
    return combined([lacking, *(_read(source, card, memory, specs) for card in cards)])


def _card(source: Source, folder: str) -> Card:
    device = drm.device_id(source, folder)
    return Card(
        folder=folder,
        device=device,
        bus=drm.address(source, folder),
        name=known_name(device, _processor(source)),
        total=_told_memory(source, folder),
    )


def _processor(source: Source) -> str:
    lines = drm.text(source, "proc/cpuinfo").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _told_memory(source: Source, folder: str) -> int | None:
    """What the driver tells: xe by tile, i915 only as Intel ships it outside the kernel."""
    tiles = [drm.number(source, path) for path in source.glob(f"{folder}/tile*/physical_vram_size_bytes")]
    told = sum(size for size in tiles if size is not None)
    return told or drm.number(source, f"{folder.removesuffix('/device')}/lmem_total_bytes")


def _with_tools(source: Source, cards: list[Card]) -> list[Card]:
    """Cards with what tools add; each tool is asked only while something that it tells is open."""
    if any(not card.integrated for card in cards):
        cards = _joined(cards, read_xpu_smi(source))
    if any(not card.integrated and card.total is None for card in cards):
        cards = _joined(cards, read_clinfo(source))
    return cards


def _joined(cards: list[Card], told: Sequence[ToolGpu]) -> list[Card]:
    by_bus = {gpu.bus: gpu for gpu in told if gpu.bus is not None}
    discrete = [card for card in cards if not card.integrated]
    lone = told[0] if len(told) == len(discrete) == 1 else ToolGpu()

    def joined(card: Card) -> Card:
        gpu = ToolGpu() if card.integrated else by_bus.get(card.bus or "", lone)
        return card._replace(
            name=card.name or gpu.name,
            total=gpu.total_bytes if card.total is None else card.total,
            free=gpu.free_bytes if card.free is None else card.free,
        )

    return [joined(card) for card in cards]


def _read(source: Source, card: Card, memory: HostMemory, specs: Sequence[GpuSpec]) -> Reading:
    gpu = Gpu(index=0, name=card.title, vendor="intel", vram_bytes=0, free_bytes=card.free)
    if card.integrated:
        limit = LIMITS.get(drm.event(source, card.folder).get("DRIVER", ""), _by_ttm)(source, memory)
        return Reading(gpus=(FoundGpu(gpu=shared(gpu, limit, memory), bus=card.bus),))
    sold = _sold(source, card, specs)
    remedy = _(
        "{gpu} is there, but its memory could not be read: install xpu-smi, or name it with --hardware to"
        " plan for it."
    )
    return card_reading(gpu, card.total, sold, bus=card.bus, remedy=remedy)


def _sold(source: Source, card: Card, specs: Sequence[GpuSpec]) -> tuple[int, ...]:
    """The sizes that cards of this name are sold with, and of several the one that fits the window."""
    sizes = sold_memory(card.title, "intel", specs)
    window = _window(source, card.folder)
    if len(sizes) < 2 or window <= SMALL_BAR_BYTES:
        return sizes
    return tuple(size for size in sizes if 1 << (size - 1).bit_length() == window)


def _window(source: Source, folder: str) -> int:
    """Bytes of the window onto the card's memory, with resizable BAR the next power of two; 0: not told."""
    lines = drm.text(source, f"{folder}/resource").splitlines()
    try:
        start, end = (int(field, 16) for field in lines[MEMORY_BAR].split()[:2])
    except (IndexError, ValueError):
        return 0
    return end - start + 1 if end > start else 0


def _by_ttm(source: Source, memory: HostMemory) -> int:
    limit = drm.shared_limit(source)
    return int(memory.total_bytes * TTM_SHARE) if limit is None else limit


def _all(source: Source, memory: HostMemory) -> int:
    return memory.total_bytes


LIMITS: Final[dict[str, Callable[[Source, HostMemory], int]]] = {"xe": _by_ttm, "i915": _all}
"""Driver → how much RAM it lets an integrated GPU use: xe what TTM allows, i915 its region of system memory,
which is all of the RAM (the kernel's gem/i915_gem_shmem.c)."""
