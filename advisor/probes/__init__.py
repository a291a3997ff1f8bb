"""Detection: everything that can be read about this machine, and a note for what cannot."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from advisor.errors import ProbeError
from advisor.hardware import Gpu, GpuSpec, Host, HostMemory, Machine
from advisor.probes.host import read_host
from advisor.probes.identify import complete
from advisor.probes.nvidia import HIDING_VARIABLES, NvidiaReading, read_nvidia
from advisor.probes.pci import display_vendors
from advisor.probes.runtimes import find_runtimes, read_runtimes
from advisor.units import format_bytes

ROOT: Final = Path("/")


def detect(*, gpus: Sequence[GpuSpec] = (), measure_bandwidth: bool = True) -> Machine:
    """Read this machine.

    gpus: the hardware catalog's rows, which complete what drivers tell. measure_bandwidth: measure the
    memory's bandwidth where no earlier run has; without it, the figure is the kept one or None.
    Raises `ProbeError` when not even the size of the memory can be read.
    """
    host = read_host(ROOT, os.environ)
    nvidia = _read_nvidia(host.memory)
    found = tuple(complete(gpu, gpus) for gpu in nvidia.gpus)
    bandwidth, bandwidth_notes = _bandwidth(host, measure=measure_bandwidth)
    memory = host.memory.model_copy(update={"bandwidth_bytes_per_s": bandwidth})
    return Machine(
        host=host.model_copy(update={"memory": memory}),
        gpus=found,
        interconnect=nvidia.interconnect,
        runtimes=find_runtimes(),
        notes=(*nvidia.notes, *_gpu_notes(found), *bandwidth_notes),
    )


def with_runtime_versions(machine: Machine) -> Machine:
    """This machine with the runtimes' versions and endpoints, which takes starting them: up to seconds."""
    return machine.model_copy(update={"runtimes": read_runtimes()})
