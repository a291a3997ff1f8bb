"""Detection: everything that can be read about this machine, and a note for what cannot."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from advisor import bandwidth
from advisor.hardware import Gpu, GpuSpec, Host, HostMemory, Machine, Vendor
from advisor.probes import apple
from advisor.probes.amd import read_amd
from advisor.probes.ascend import read_ascend
from advisor.probes.deadline import Started
from advisor.probes.found import NAME_IT, FoundGpu, Reading, combined, with_carve_out
from advisor.probes.host import parse_sysctl, read_host, sysctl
from advisor.probes.identify import complete, why_unidentified
from advisor.probes.intel import read_intel
from advisor.probes.nvidia import NvidiaReading, read_nvidia
from advisor.probes.nvml import Told, ask_nvml
from advisor.probes.pci import display_vendors
from advisor.probes.runtimes import find_runtimes, read_runtimes
from advisor.probes.source import Live, Source
from advisor.probes.windows import read_windows
from advisor.units import format_bytes

ROOT: Final = Path("/")
NVML_LIMIT_S: Final = 1.5
"""NVML answers in 0.1 s, after a driver's first start in one; a card that fell off the bus blocks it."""
OTHERS_LIMIT_S: Final = 2.6
"""Each tool has two seconds; with what comes before and after, detection stays under three."""
UNREAD_VENDORS: Final = {"amd": "AMD", "intel": "Intel"}
"""Makers whose cards may be seen on the bus and not be read: no driver, or no probe for them yet."""
HIDING: Final[dict[str, tuple[Vendor, ...]]] = {
    "ROCR_VISIBLE_DEVICES": ("amd",),
    "HIP_VISIBLE_DEVICES": ("amd",),
    "CUDA_VISIBLE_DEVICES": ("nvidia", "amd"),
    "ZE_AFFINITY_MASK": ("intel",),
}
"""Variables that hide GPUs from programs, and whose they hide; HIP obeys CUDA's as well as its own."""


def detect(
    *, gpus: Sequence[GpuSpec] = (), measure_bandwidth: bool = True, source: Source | None = None
) -> Machine:
    """Read a machine.

    gpus: the hardware catalog's rows, which complete what drivers tell. measure_bandwidth: measure the
    memory's bandwidth where no earlier run has; without it, the figure is the kept one or None. source: what
    is read; None: this machine. Whatever hangs is left out with a note: no more than three seconds are taken.
    Raises `ProbeError` when not even the size of the memory can be read.
    """
    asked = source or Live(ROOT, os.environ)
    nvml = Started(lambda: asked.ask("nvml", ask_nvml), NVML_LIMIT_S)
    host = read_host(asked)
    slow = Started(lambda: _read_slow(asked, host.memory, gpus), OTHERS_LIMIT_S)
    nvidia = _nvidia(nvml, asked, host.memory)
    others, apples = _others(slow)
    used, left_out = planned_on(_completed(others.gpus, gpus), beside=bool(nvidia.gpus))
    found = (
        *(complete(gpu, gpus) for gpu in nvidia.gpus),
        *(found.gpu for found in used),
        *apples,
    )
    rate, bandwidth_notes = _bandwidth(asked, host, measure=measure_bandwidth)
    memory = host.memory.model_copy(update={"bandwidth_bytes_per_s": rate})
    for shared in used:
        memory = with_carve_out(memory, shared)
    return Machine(
        host=host.model_copy(update={"memory": memory}),
        gpus=tuple(_numbered(gpu, index, rate) for index, gpu in enumerate(found)),
        interconnect=nvidia.interconnect if len(found) == len(nvidia.gpus) else None,
        runtimes=find_runtimes(asked),
        notes=(
            *nvidia.notes,
            *others.notes,
            *left_out_notes(left_out),
            *carve_out_notes(used),
            *gpu_notes(found, asked, gpus, read=_told_of(others)),
            *bandwidth_notes,
        ),
    )


def _nvidia(nvml: Started[Told | None], source: Source, memory: HostMemory) -> NvidiaReading:
    try:
        return read_nvidia(nvml.result(), source, memory)
    except TimeoutError:
        note = f"The NVIDIA driver did not answer within {NVML_LIMIT_S:g} s and is left out"
        return NvidiaReading(notes=(f"{note}: nvidia-smi may tell more.",))


def _read_slow(
    source: Source, memory: HostMemory, specs: Sequence[GpuSpec]
) -> tuple[Reading, tuple[Gpu, ...]]:
    """GPUs that files and tools tell of, which may take long or hang."""
    return read_others(source, memory, specs), _apple(source, memory, specs)


def _others(slow: Started[tuple[Reading, tuple[Gpu, ...]]]) -> tuple[Reading, tuple[Gpu, ...]]:
    try:
        return slow.result()
    except TimeoutError:
        note = (
            f"The tools and files of other makers' GPUs did not answer within {OTHERS_LIMIT_S:g} s:"
            f" what they have is left out; {NAME_IT}."
        )
        return Reading(notes=(note,)), ()


def _bandwidth(source: Source, host: Host, *, measure: bool) -> tuple[int | None, tuple[str, ...]]:
    """What the memory was measured to reach, here or where it was recorded."""
    look_up = bandwidth.host_bandwidth if measure else bandwidth.kept_bandwidth
    told = source.ask("bandwidth", lambda: look_up(host, bandwidth.cache_file()))
    return (told[0], tuple(told[1])) if told else (None, ())


def planned_on(
    others: Sequence[FoundGpu], *, beside: bool
) -> tuple[tuple[FoundGpu, ...], tuple[FoundGpu, ...]]:
    """What is planned on, and what is left out: integrated GPUs beside a card, and those of no known speed.

    beside: there are GPUs of another maker.
    """
    cards = any(not found.gpu.unified for found in others) or beside
    used = tuple(f for f in others if not f.gpu.unified or (not cards and f.gpu.catalog_id is not None))
    return used, tuple(found for found in others if found not in used)


def left_out_notes(left_out: Sequence[FoundGpu]) -> Iterator[str]:
    """Why integrated GPUs are not in the list."""
    for found in left_out:
        yield (
            f"{found.gpu.name} is integrated in the processor and shares its memory:"
            " it is not planned on, since it adds no memory and little speed to what is there."
        )


def carve_out_notes(used: Sequence[FoundGpu]) -> Iterator[str]:
    """What of the memory an integrated GPU has to itself: the system's own tools do not count it."""
    for found in used:
        if found.carve_out_bytes:
            yield (
                f"{found.gpu.name} shares the memory; {format_bytes(found.carve_out_bytes)} of it is set"
                " aside for the GPU by the firmware and counted in the total here."
            )


def with_runtime_versions(machine: Machine, source: Source | None = None) -> Machine:
    """Add the runtimes' versions and endpoints: starts each, which takes up to seconds.

    source: as `detect`'s.
    """
    return machine.model_copy(update={"runtimes": read_runtimes(source or Live(ROOT, os.environ))})


def gpu_notes(
    gpus: Sequence[Gpu], source: Source, specs: Sequence[GpuSpec] = (), read: Sequence[str] = ()
) -> Iterator[str]:
    """What a reader of the list of GPUs should know about it; read: makers whose GPUs were left out."""
    for gpu in gpus:
        if gpu.catalog_id is None:
            yield (
                f"{gpu.name} ({format_bytes(gpu.vram_bytes)}) {why_unidentified(gpu, specs)};"
                " its bandwidth, and so its speed, is unknown."
            )
    vendors = {gpu.vendor for gpu in gpus}
    for variable, hidden in HIDING.items():
        value = source.environ.get(variable)
        if value is not None and not vendors.isdisjoint(hidden):
            yield (
                f"{variable}={value} is set: programs started from here may not see every GPU that is listed."
            )
    if not gpus:
        yield from _unread_gpus(source, read)


def _unread_gpus(source: Source, read: Sequence[str]) -> Iterator[str]:
    there = display_vendors(source).difference(read)
    makers = [name for vendor, name in UNREAD_VENDORS.items() if vendor in there]
    if source.platform == "darwin":
        makers.append("Apple")
    for maker in makers:
        yield f"An {maker} GPU is there and was not read: name it with --hardware to plan for it."


def read_others(source: Source, memory: HostMemory, specs: Sequence[GpuSpec]) -> Reading:
    """GPUs of the makers that have no library of their own in this process: AMD, Intel, Huawei."""
    readers = (read_amd, read_intel, read_windows)
    return combined([*(read(source, memory, specs) for read in readers), read_ascend(source, memory)])


def _told_of(reading: Reading) -> list[str]:
    """Makers of whose GPUs the list or a note tells already."""
    named = [vendor for vendor, name in UNREAD_VENDORS.items() if any(name in note for note in reading.notes)]
    return [*named, *(found.gpu.vendor for found in reading.gpus)]


def _completed(others: Sequence[FoundGpu], specs: Sequence[GpuSpec]) -> tuple[FoundGpu, ...]:
    return tuple(found.model_copy(update={"gpu": complete(found.gpu, specs)}) for found in others)


def _numbered(gpu: Gpu, index: int, rate: int | None) -> Gpu:
    """The GPU at its place; one that the catalog knows to use any RAM is as fast as that RAM."""
    speed = gpu.bandwidth_bytes_per_s
    if gpu.unified and gpu.catalog_id is not None:
        speed = speed or rate
    return gpu.model_copy(update={"index": index, "bandwidth_bytes_per_s": speed})


def _apple(source: Source, memory: HostMemory, specs: Sequence[GpuSpec]) -> tuple[Gpu, ...]:
    if source.platform != "darwin":
        return ()
    gpus = apple.read_apple(parse_sysctl(sysctl(source, *apple.SYSCTL_NAMES)), memory)
    rows = apple.specs_of(apple.gpu_cores(apple.profile(source)), specs) if gpus else ()
    return tuple(complete(gpu, rows) for gpu in gpus)
