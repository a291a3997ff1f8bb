"""Machines of so much memory and speed, for tests of what fits where."""

from __future__ import annotations

from advisor.hardware import Cpu, Gpu, Host, HostMemory, Machine
from advisor.units import GB, GIB

SimulatedGpu = tuple[float, float]
"""GiB and GB/s of a GPU."""


def machine(
    *gpus: float | SimulatedGpu, ram_gib: float = 32, unified: bool = False, cores: int = 16
) -> Machine:
    """GPUs with so many GiB free, at 500 GB/s where it is not given, beside RAM of 50 GB/s."""
    pairs = [gpu if isinstance(gpu, tuple) else (gpu, 500.0) for gpu in gpus]
    memory = HostMemory(
        total_bytes=int(ram_gib * GIB), available_bytes=int(ram_gib * GIB), bandwidth_bytes_per_s=50 * GB
    )
    return Machine(
        host=Host(os="linux", cpu=Cpu(physical_cores=cores), memory=memory),
        gpus=tuple(
            Gpu(
                index=i,
                name=f"GPU {i}",
                vendor="nvidia",
                vram_bytes=int(gib * GIB),
                free_bytes=int(gib * GIB),
                bandwidth_bytes_per_s=int(speed * GB),
                memory="unified" if unified else "discrete",
            )
            for i, (gib, speed) in enumerate(pairs)
        ),
    )
