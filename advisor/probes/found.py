"""What the probes for GPUs find: one shape for every maker and system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from advisor.hardware import Gpu, GpuSpec, GpuUser, HostMemory, Vendor
from advisor.i18n import _
from advisor.probes.identify import named_specs


class FoundGpu(NamedTuple):
    """A GPU, and what of the RAM is set aside for it."""

    gpu: Gpu
    carve_out_bytes: int = 0
    """Integrated: RAM that the firmware keeps for the GPU and the system does not see."""
    carve_out_free_bytes: int = 0
    bus: str | None = None
    """PCI address ("0000:03:00.0"), by which what several sources tell is joined; never printed."""


class Reading(NamedTuple):
    """What one maker's probe found, and what could not be read and why."""

    gpus: tuple[FoundGpu, ...] = ()
    notes: tuple[str, ...] = ()


def combined(readings: Iterable[Reading]) -> Reading:
    """Several readings as one, in their order."""
    each = tuple(readings)
    return Reading(
        gpus=tuple(found for reading in each for found in reading.gpus),
        notes=tuple(note for reading in each for note in reading.notes),
    )


def with_carve_out(memory: HostMemory, found: FoundGpu) -> HostMemory:
    """The host's memory with the part that was set aside for the GPU: the pool that both share."""
    available = memory.available_bytes
    return memory.model_copy(
        update={
            "total_bytes": memory.total_bytes + found.carve_out_bytes,
            "available_bytes": None if available is None else available + found.carve_out_free_bytes,
            "gpu_only_bytes": found.carve_out_free_bytes,
        }
    )


def sold_memory(name: str, vendor: Vendor, specs: Sequence[GpuSpec]) -> tuple[int, ...]:
    """The sizes of memory, in bytes, that cards of this name are sold with; smallest first."""
    sizes = {spec.vram_bytes for spec in named_specs(name, vendor, specs)}
    return tuple(sorted(size for size in sizes if size is not None))


def shared(gpu: Gpu, limit_bytes: int, memory: HostMemory) -> Gpu:
    """The GPU as one that uses up to `limit_bytes` of the RAM, of which what is available is free."""
    limit = min(limit_bytes, memory.total_bytes)
    available = memory.available_bytes
    return gpu.model_copy(
        update={
            "memory": "unified",
            "vram_bytes": limit,
            "free_bytes": None if available is None else min(limit, available),
        }
    )


def card_reading(
    gpu: Gpu, told: int | None, sold: Sequence[int], *, bus: str | None = None, remedy: str = ""
) -> Reading:
    """A card with memory of its own: as the machine told it, else the one size that it is sold with.

    told, sold: bytes. remedy: the note where neither is known, if there is more to say; "{gpu}" is the name.
    """
    if told is None and len(sold) != 1:
        note = remedy or _(
            "{gpu} is there, but its memory could not be read: name it with --hardware to plan for it."
        )
        return Reading(notes=(note.format(gpu=gpu.name),))
    size = sold[0] if told is None else told
    free = None if gpu.free_bytes is None else min(gpu.free_bytes, size)
    found = FoundGpu(gpu=gpu.model_copy(update={"vram_bytes": size, "free_bytes": free}), bus=bus)
    if told is not None:
        return Reading(gpus=(found,))
    note = _("The driver does not tell the memory of {gpu}: it is the one that this model is sold with.")
    return Reading(gpus=(found,), notes=(note.format(gpu=gpu.name),))


def users_of(told: Iterable[Mapping[str, Any]]) -> Iterator[GpuUser]:
    """The programs that hold memory, the largest first; several of one name as one."""
    sums: dict[str | None, int] = {}
    for user in told:
        sums[user["name"]] = sums.get(user["name"], 0) + user["bytes"]
    for name, size in sorted(sums.items(), key=lambda item: -item[1]):
        yield GpuUser(name=name, bytes=size)
