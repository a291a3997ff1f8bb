"""A machine in words: the rows that `advisor detect` and `advisor doctor` show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from advisor.hardware import Cpu, Disk, Gpu, Host, HostMemory, Machine
from advisor.i18n import N_, _
from advisor.units import format_bandwidth, format_bytes

GPU_COLUMNS: Final = ("GPU", N_("memory"), N_("free"), N_("bandwidth"), N_("compute"), N_("driver"))


def host_rows(host: Host) -> Iterator[tuple[str, str]]:
    """What there is beside the GPUs: a title, empty where the row above goes on, and a line."""
    yield _("system"), _("{os}, in a container").format(os=host.os) if host.container else host.os
    yield _("processor"), ", ".join(_cpu_parts(host.cpu))
    yield "", " ".join(host.cpu.features) or _("SIMD extensions unknown")
    yield _("memory"), ", ".join(_memory_parts(host.memory))
    yield _("disk"), _disk_line(host.disk)


def _cpu_parts(cpu: Cpu) -> Iterator[str]:
    n, n_threads = cpu.physical_cores, cpu.logical_cores
    yield cpu.name or _("unknown")
    yield _("cores unknown") if n is None else _("{n} cores").format(n=n)
    yield _("threads unknown") if n_threads is None else _("{n} threads").format(n=n_threads)
    if cpu.limit_cores is not None:
        yield _("limited to {limit:g}").format(limit=cpu.limit_cores)


def _memory_parts(memory: HostMemory) -> Iterator[str]:
    yield _("{size} in total").format(size=format_bytes(memory.total_bytes))
    if memory.limit_bytes is not None:
        yield _("limited to {limit}").format(limit=format_bytes(memory.limit_bytes))
    if memory.available_bytes is None:
        yield _("available unknown")
    else:
        yield _("{size} available").format(size=format_bytes(memory.available_bytes))
    if memory.bandwidth_bytes_per_s is None:
        yield _("bandwidth unknown")
    else:
        yield _("{rate} measured").format(rate=format_bandwidth(memory.bandwidth_bytes_per_s))


def _disk_line(disk: Disk) -> str:
    folder = disk.cache_dir or _("an unknown folder")
    if disk.free_bytes is None:
        return _("free space unknown for models in {folder}").format(folder=folder)
    return _("{size} free for models in {folder}").format(size=format_bytes(disk.free_bytes), folder=folder)


def gpu_row(gpu: Gpu) -> tuple[str, ...]:
    """One GPU under `GPU_COLUMNS`."""
    size, rate = format_bytes(gpu.vram_bytes), gpu.bandwidth_bytes_per_s
    return (
        f"{gpu.index}  {gpu.name}",
        _("{size} shared").format(size=size) if gpu.unified else size,
        _("unknown") if gpu.free_bytes is None else format_bytes(gpu.free_bytes),
        _("unknown") if rate is None else format_bandwidth(rate),
        gpu.compute_capability or _("unknown"),
        gpu.driver or _("unknown"),
    )


def user_lines(machine: Machine) -> Iterator[str]:
    """Who holds the GPUs' memory, as far as drivers tell."""
    for gpu in machine.gpus:
        held = (f"{format_bytes(user.bytes)} {user.name or _('a program')}" for user in gpu.users)
        if text := ", ".join(held):
            yield f"{gpu.index}  {text}"


def runtimes_line(machine: Machine) -> str:
    """The runtimes with version and endpoint, as far as they are known."""
    named = (
        " ".join(filter(None, (runtime.name, runtime.version, runtime.endpoint and f"({runtime.endpoint})")))
        for runtime in machine.runtimes
    )
    return ", ".join(named) or _("none found")
