"""Which devices a candidate uses, through what, and what it leaves to others: the same for every backend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from advisor.assessment import Candidate, DeviceMemory, Runnable
from advisor.hardware import Accelerator, Gpu, Machine, Vendor

ACCELERATORS: Final[dict[Vendor, tuple[Accelerator, ...]]] = {
    "nvidia": ("cuda",),
    "amd": ("rocm", "vulkan"),
    "intel": ("sycl", "vulkan"),
    "apple": ("metal",),
    "huawei": ("cann",),
}
"""What drives a vendor's GPUs, the vendor's own first."""


def used_gpus(candidate: Runnable, machine: Machine) -> tuple[Gpu, ...]:
    """The machine's GPUs that hold weights of the candidate, in the machine's order."""
    rows = _gpu_rows(candidate)
    return tuple(gpu for gpu, row in zip(machine.gpus, rows, strict=False) if row.weights_bytes)


def accelerators(candidate: Candidate, machine: Machine) -> tuple[Accelerator, ...]:
    """What can drive the GPUs in use, the vendor's own first; the CPU alone where the candidate uses none."""
    gpus = used_gpus(candidate, machine)
    return ACCELERATORS[gpus[0].vendor] if gpus else ("cpu",)


def host_bytes(candidate: Candidate, machine: Machine) -> int:
    """What the candidate takes of the host's RAM: all of it where the GPU shares the pool."""
    return sum(row.total_bytes for row in candidate.memory.devices if row.kind == "cpu" or machine.unified)


def threads(machine: Machine) -> int | None:
    """Physical cores, within the container's limit: more threads slow llama.cpp down. None when not known."""
    cpu = machine.host.cpu
    if cpu.physical_cores is None or cpu.limit_cores is None:
        return cpu.physical_cores
    return min(cpu.physical_cores, max(1, int(cpu.limit_cores)))


def without(machine: Machine, others: Iterable[Candidate]) -> Machine:
    """The machine with what `others` take of it gone: what is left for one more service."""
    for other in others:
        machine = _without(machine, other)
    return machine


def _without(machine: Machine, other: Candidate) -> Machine:
    taken = [row.total_bytes for row in _gpu_rows(other)]
    return less(machine, host_bytes(other, machine), taken)


def less(machine: Machine, on_host: int, on_gpus: Sequence[int]) -> Machine:
    """The machine with so many bytes of its RAM, and of each of its first GPUs, taken."""
    memory = machine.host.memory
    of_gpus = sum(on_gpus) if machine.unified else 0
    memory = memory.model_copy(
        update={
            "taken_bytes": memory.taken_bytes + on_host,
            # What a GPU's service takes of the firmware's part is not kept from the others a second time.
            "gpu_only_bytes": max(0, memory.gpu_only_bytes - of_gpus),
        }
    )
    taken = [*on_gpus, *[0] * (len(machine.gpus) - len(on_gpus))]
    gpus = tuple(
        gpu.model_copy(update={"free_bytes": max(0, gpu.capacity_bytes - size)})
        for gpu, size in zip(machine.gpus, taken, strict=False)
    )
    host = machine.host.model_copy(update={"memory": memory})
    return machine.model_copy(update={"host": host, "gpus": gpus})


def _gpu_rows(candidate: Runnable) -> list[DeviceMemory]:
    return [row for row in candidate.memory.devices if row.kind == "gpu"]
