"""What a reader of the list of GPUs should know about it: what is in it, what is not, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from advisor.hardware import Gpu, GpuSpec, Vendor
from advisor.i18n import N_, _
from advisor.probes.found import FoundGpu
from advisor.probes.identify import why_unidentified
from advisor.units import format_bytes

HIDING: Final[dict[str, tuple[Vendor, ...]]] = {
    "ROCR_VISIBLE_DEVICES": ("amd",),
    "HIP_VISIBLE_DEVICES": ("amd",),
    "CUDA_VISIBLE_DEVICES": ("nvidia", "amd"),
    "ZE_AFFINITY_MASK": ("intel",),
}
"""Variables that hide GPUs from programs, and whose they hide; HIP obeys CUDA's as well as its own."""

UNREAD: Final[dict[Vendor, str]] = {
    "amd": N_("An AMD GPU is there and was not read: name it with --hardware to plan for it."),
    "intel": N_("An Intel GPU is there and was not read: name it with --hardware to plan for it."),
}
"""Cards that may be seen on the bus and not be read: their driver is not there."""
UNREAD_IN_CONTAINER: Final[dict[Vendor, str]] = {
    "amd": N_(
        "An AMD GPU is there and was not read: start this container with --device /dev/kfd --device /dev/dri,"
        " or name the GPU with --hardware to plan for it."
    ),
    "intel": N_(
        "An Intel GPU is there and was not read: start this container with --device /dev/dri, or name the GPU"
        " with --hardware to plan for it."
    ),
}


def left_out_notes(left_out: Sequence[FoundGpu]) -> Iterator[str]:
    """Why integrated GPUs are not in the list."""
    for found in left_out:
        yield _(
            "{gpu} is integrated in the processor and shares its memory: it is not planned on, since it adds"
            " no memory and little speed to what is there."
        ).format(gpu=found.gpu.name)


def carve_out_notes(used: Sequence[FoundGpu]) -> Iterator[str]:
    """What of the memory an integrated GPU has to itself: the system's own tools do not count it."""
    for found in used:
        if found.carve_out_bytes:
            yield _(
                "{gpu} shares the memory; {size} of it is set aside for the GPU by the firmware and counted"
                " in the total here."
            ).format(gpu=found.gpu.name, size=format_bytes(found.carve_out_bytes))


def unidentified_notes(gpus: Sequence[Gpu], specs: Sequence[GpuSpec]) -> Iterator[str]:
    """Why figures of a GPU are unknown; specs: the hardware catalog's rows."""
    for gpu in gpus:
        if gpu.catalog_id is None:
            yield _("{gpu} ({size}) {why}; its bandwidth, and so its speed, is unknown.").format(
                gpu=gpu.name, size=format_bytes(gpu.vram_bytes), why=why_unidentified(gpu, specs)
            )


def hiding_notes(gpus: Sequence[Gpu], environ: Mapping[str, str]) -> Iterator[str]:
    """Variables that hide some of the GPUs from programs."""
    vendors = {gpu.vendor for gpu in gpus}
    for variable, hidden in HIDING.items():
        value = environ.get(variable)
        if value is not None and not vendors.isdisjoint(hidden):
            yield _(
                "{variable}={value} is set: programs started from here may not see every GPU that is listed."
            ).format(variable=variable, value=value)


def unread_notes(
    on_bus: Collection[Vendor], told_of: Collection[Vendor], *, container: bool
) -> Iterator[str]:
    """Cards of which nothing is told; on_bus, told_of: makers of those seen, and of those told of."""
    texts = UNREAD_IN_CONTAINER if container else UNREAD
    for vendor, text in texts.items():
        if vendor in on_bus and vendor not in told_of:
            yield _(text)
