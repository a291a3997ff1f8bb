"""Detection: everything that can be read about this machine, and a note for what cannot."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from advisor import bandwidth
from advisor.hardware import Gpu, GpuSpec, HostMemory, Machine
from advisor.probes.host import read_host
from advisor.probes.identify import complete
from advisor.probes.nvidia import NvidiaReading, read_nvidia
from advisor.probes.pci import display_vendors
from advisor.probes.runtimes import find_runtimes, read_runtimes
from advisor.units import format_bytes

ROOT: Final = Path("/")
UNREAD_VENDORS: Final = {"amd": "AMD", "intel": "Intel"}
"""Makers whose cards are seen on the bus and not read yet."""


def detect(*, gpus: Sequence[GpuSpec] = (), measure_bandwidth: bool = True) -> Machine:
    """Read this machine.

    gpus: the hardware catalog's rows, which complete what drivers tell. measure_bandwidth: measure the
    memory's bandwidth where no earlier run has; without it, the figure is the kept one or None.
    Raises `ProbeError` when not even the size of the memory can be read.
    """
    host = read_host(ROOT, os.environ)
    nvidia = _nvidia(host.memory)
    found = tuple(complete(gpu, gpus) for gpu in nvidia.gpus)
    look_up = bandwidth.host_bandwidth if measure_bandwidth else bandwidth.kept_bandwidth
    rate, bandwidth_notes = look_up(host, bandwidth.cache_file())
    memory = host.memory.model_copy(update={"bandwidth_bytes_per_s": rate})
    return Machine(
        host=host.model_copy(update={"memory": memory}),
        gpus=found,
        interconnect=nvidia.interconnect,
        runtimes=find_runtimes(),
        notes=(*nvidia.notes, *gpu_notes(found, ROOT, os.environ), *bandwidth_notes),
    )


def with_runtime_versions(machine: Machine) -> Machine:
    """Add the runtimes' versions and endpoints to this machine: starts each, which takes up to seconds."""
    return machine.model_copy(update={"runtimes": read_runtimes()})


def gpu_notes(gpus: Sequence[Gpu], root: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """What a reader of the list of GPUs should know about it."""
    for gpu in gpus:
        if gpu.catalog_id is None:
            yield (
                f"{gpu.name} ({format_bytes(gpu.vram_bytes)}) is not in the hardware catalog:"
                " its bandwidth, and so its speed, is unknown."
            )
    if gpus and "CUDA_VISIBLE_DEVICES" in environ:
        yield (
            f"CUDA_VISIBLE_DEVICES={environ['CUDA_VISIBLE_DEVICES']} is set:"
            " programs started from here may not see every GPU that is listed."
        )
    if not gpus:
        yield from _unread_gpus(root)


def _unread_gpus(root: Path) -> Iterator[str]:
    makers = [name for vendor, name in UNREAD_VENDORS.items() if vendor in display_vendors(root)]
    if sys.platform == "darwin":
        makers.append("Apple")
    for maker in makers:
        yield f"An {maker} GPU is there and was not read: name it with --hardware to plan for it."


def _nvidia(memory: HostMemory) -> NvidiaReading:
    try:
        import pynvml
    except ImportError as error:
        return NvidiaReading(notes=(f"NVIDIA GPUs were not looked for: pynvml is broken ({error}).",))
    return read_nvidia(pynvml, ROOT, memory)
