"""A machine in words: the rows that `advisor detect` and `advisor doctor` show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from advisor.hardware import Gpu, Host, Machine
from advisor.units import format_bandwidth, format_bytes

GPU_COLUMNS: Final = ("GPU", "memory", "free", "bandwidth", "compute", "driver")


def host_rows(host: Host) -> Iterator[tuple[str, str]]:
    """What there is beside the GPUs: a title, empty where the row above goes on, and a line."""
    cpu, memory, disk = host.cpu, host.memory, host.disk
    yield "system", host.os + (", in a container" if host.container else "")
    cores = f"{_count(cpu.physical_cores, 'cores')}, {_count(cpu.logical_cores, 'threads')}"
    limit = f", limited to {cpu.limit_cores:g}" if cpu.limit_cores is not None else ""
    yield "processor", f"{cpu.name or 'unknown'}, {cores}{limit}"
    yield "", " ".join(cpu.features) or "SIMD extensions unknown"
    parts = [f"{format_bytes(memory.total_bytes)} in total"]
    if memory.limit_bytes is not None:
        parts.append(f"limited to {format_bytes(memory.limit_bytes)}")
    available = memory.available_bytes
    parts.append("available unknown" if available is None else f"{format_bytes(available)} available")
    rate = memory.bandwidth_bytes_per_s
    parts.append("bandwidth unknown" if rate is None else f"{format_bandwidth(rate)} measured")
    yield "memory", ", ".join(parts)
    free = "free space unknown" if disk.free_bytes is None else f"{format_bytes(disk.free_bytes)} free"
    yield "disk", f"{free} for models in {disk.cache_dir or 'an unknown folder'}"


def gpu_row(gpu: Gpu) -> tuple[str, ...]:
    """One GPU under `GPU_COLUMNS`."""
    rate = gpu.bandwidth_bytes_per_s
    return (
        f"{gpu.index}  {gpu.name}",
        format_bytes(gpu.vram_bytes) + (" shared" if gpu.unified else ""),
        "unknown" if gpu.free_bytes is None else format_bytes(gpu.free_bytes),
        "unknown" if rate is None else format_bandwidth(rate),
        gpu.compute_capability or "unknown",
        gpu.driver or "unknown",
    )


def user_lines(machine: Machine) -> Iterator[str]:
    """Who holds the GPUs' memory, as far as drivers tell."""
    for gpu in machine.gpus:
        held = (f"{format_bytes(user.bytes)} {user.name or 'a program'}" for user in gpu.users)
        if text := ", ".join(held):
            yield f"{gpu.index}  {text}"


def runtimes_line(machine: Machine) -> str:
    """The runtimes with version and endpoint, as far as they are known."""
    named = (
        " ".join(filter(None, (runtime.name, runtime.version, runtime.endpoint and f"({runtime.endpoint})")))
        for runtime in machine.runtimes
    )
    return ", ".join(named) or "none found"


def _count(n: int | None, what: str) -> str:
    return f"{what} unknown" if n is None else f"{n} {what}"
