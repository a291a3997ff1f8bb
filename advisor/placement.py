"""Where a model's layers go on a machine: solved from the bytes, not guessed.

llama.cpp puts the last layers on the GPUs, in their order, and the rest on the host; of a mixture of experts
it can keep the experts of the leading layers on the host. Everything here is a search for the split that
leaves the least on the slow side and still fits every device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from advisor.assessment import DeviceMemory, MemoryEstimate, MemorySource, Placement
from advisor.hardware import Gpu, Machine
from advisor.memory import (
    GPU_MARGIN_BYTES,
    GPU_OVERHEAD_BYTES,
    HOST_OVERHEAD_BYTES,
    Buffers,
    Footprint,
    Split,
    allocate,
)

HOST_NAME: Final = "CPU"


def estimate_memory(
    footprint: Footprint, split: Split, machine: Machine, source: MemorySource
) -> MemoryEstimate:
    """What every device of `machine` must hold under that split, against its capacity."""
    gpu_buffers, host_buffers = allocate(footprint, split)
    gpus = [
        _gpu_memory(gpu, part) for gpu, part in zip(machine.gpus, _padded(gpu_buffers, machine), strict=True)
    ]
    capacity = host_capacity(machine, sum(row.total_bytes for row in gpus if machine.unified))
    host = DeviceMemory(
        name=HOST_NAME,
        kind="cpu",
        **host_buffers.model_dump(),
        overhead_bytes=HOST_OVERHEAD_BYTES,
        capacity_bytes=capacity,
    )
    return MemoryEstimate.of((*gpus, host), source)


def _padded(parts: Sequence[Buffers], machine: Machine) -> Iterator[Buffers]:
    """One entry for every GPU, also for those that a split leaves out."""
    yield from parts
    yield from (Buffers() for _ in machine.gpus[len(parts) :])


def _gpu_memory(gpu: Gpu, part: Buffers) -> DeviceMemory:
    used = part.weights_bytes > 0
    return DeviceMemory(
        name=gpu.name,
        kind="gpu",
        **part.model_dump(),
        overhead_bytes=gpu_overhead(gpu) if used else 0,
        margin_bytes=GPU_MARGIN_BYTES if used else 0,
        capacity_bytes=gpu.capacity_bytes,
    )


def gpu_overhead(gpu: Gpu) -> int:
    """What a used GPU needs outside llama.cpp's buffers; unified memory has no second context to hold."""
    return 0 if gpu.unified else GPU_OVERHEAD_BYTES


def host_capacity(machine: Machine, used_by_gpus: int) -> int:
    """RAM left to the host's part; in a unified pool the GPU's part is taken from the same RAM."""
    return max(0, machine.host_capacity_bytes - used_by_gpus)


def solve(footprint: Footprint, machine: Machine) -> Split | None:
    """The fastest kind of split that fits; None when none does.

    In order: everything on as few GPUs as hold it; experts of as few layers as possible on the host; as many
    layers as possible on the GPUs; everything on the host.
    """
    for split in _ladder(footprint, machine):
        if split is not None and estimate_memory(footprint, split, machine, "config-rules").fits:
            return split
    return None


def _ladder(footprint: Footprint, machine: Machine) -> Iterator[Split | None]:
    everything = footprint.n_layers + 1
    for gpus in _gpu_sets(machine):
        yield distribute(footprint, machine, gpus, everything, 0)
    if machine.gpus:
        all_gpus = tuple(range(len(machine.gpus)))
        if footprint.has_experts:
            yield _first_fit(
                1, footprint.n_layers, lambda n: distribute(footprint, machine, all_gpus, everything, n)
            )
        yield _first_fit(
            1, footprint.n_layers, lambda n: distribute(footprint, machine, all_gpus, everything - n, 0)
        )
    yield Split(gpu_layers=(0,) * len(machine.gpus))


def _gpu_sets(machine: Machine) -> Iterator[tuple[int, ...]]:
    """GPUs to try, fewest and roomiest first: splitting layers buys room, not speed."""
    order = sorted(range(len(machine.gpus)), key=lambda i: -machine.gpus[i].capacity_bytes)
    for count in range(1, len(order) + 1):
        yield tuple(sorted(order[:count]))


def _first_fit(low: int, high: int, attempt: Callable[[int], Split | None]) -> Split | None:
    """The split of the smallest n in low … high that `attempt` can make; more n always fits better."""
    best = None
    while low <= high:
        middle = (low + high) // 2
        split = attempt(middle)
        if split is None:
            low = middle + 1
        else:
            best, high = split, middle - 1
    return best


def distribute(
    footprint: Footprint, machine: Machine, gpus: Sequence[int], n_gpu_layers: int, n_cpu_moe: int
) -> Split | None:
    """Spread the last `n_gpu_layers` layers over the GPUs with those indices, each filled to the same share.

    None when they do not fit. The parts are contiguous; the last GPU holds the output layer.
    """
    first = footprint.n_layers + 1 - n_gpu_layers
    sizes = [footprint.layer_bytes(i, n_cpu_moe) for i in range(first, footprint.n_layers + 1)]
    rooms = [_room(footprint, machine.gpus[i], is_last=i == gpus[-1], n_gpus=len(gpus)) for i in gpus]
    counts = _fill(sizes, rooms)
    if counts is None:
        return None
    layers = [0] * len(machine.gpus)
    for index, count in zip(gpus, counts, strict=True):
        layers[index] = count
    return Split(gpu_layers=tuple(layers), n_cpu_moe=n_cpu_moe)


def _room(footprint: Footprint, gpu: Gpu, *, is_last: bool, n_gpus: int) -> int:
    """Bytes that layers may take on a GPU, its fixed costs set aside."""
    graph = footprint.graph
    if n_gpus > 1:
        compute = graph.pipeline_device(is_first=False, has_output=is_last)
    else:
        compute = graph.device(has_output=is_last)
    fixed = compute + gpu_overhead(gpu) + GPU_MARGIN_BYTES + footprint.weights.rope_bytes
    return gpu.capacity_bytes - fixed


def force(footprint: Footprint, machine: Machine, n_gpu_layers: int) -> Split:
    """The last `n_gpu_layers` layers on the GPUs whether they fit or not, each GPU over-filled alike."""
    first = max(0, footprint.n_layers + 1 - n_gpu_layers)
    sizes = [footprint.layer_bytes(i, 0) for i in range(first, footprint.n_layers + 1)]
    rooms = [max(1, gpu.capacity_bytes) for gpu in machine.gpus]
    share = 1.0
    while (counts := _greedy(sizes, rooms, share)) is None:
        share *= _OVERFILL_STEP
    return Split(gpu_layers=tuple(counts))


_OVERFILL_STEP: Final = 1.05
_FILL_STEPS: Final = 12
"""Halvings of the share that every GPU is filled to: 1/4096 of a card is far below one layer."""


def _fill(sizes: Sequence[int], rooms: Sequence[int]) -> list[int] | None:
    """Layers on every GPU such that the fullest is as empty as possible; None when they do not fit."""
    if any(room <= 0 for room in rooms):
        return None
    best = _greedy(sizes, rooms, 1.0)
    if best is None or len(rooms) == 1:
        return best
    low, high = 0.0, 1.0
    for _ in range(_FILL_STEPS):
        middle = (low + high) / 2
        counts = _greedy(sizes, rooms, middle)
        if counts is None:
            low = middle
        else:
            best, high = counts, middle
    return best


def _greedy(sizes: Sequence[int], rooms: Sequence[int], share: float) -> list[int] | None:
    counts = [0] * len(rooms)
    gpu, used = 0, 0
    for size in sizes:
        while used + size > rooms[gpu] * share:
            gpu, used = gpu + 1, 0
            if gpu == len(rooms):
                return None
        counts[gpu] += 1
        used += size
    return counts


def placement_of(split: Split, footprint: Footprint, machine: Machine) -> Placement:
    """The split in the words of a plan."""
    used = tuple(gpu.name for gpu, n in zip(machine.gpus, split.gpu_layers, strict=False) if n)
    on_host = split.n_gpu_layers <= footprint.n_layers or split.n_cpu_moe > 0
    return Placement(
        n_gpu_layers=split.n_gpu_layers,
        n_cpu_moe=split.n_cpu_moe or None,
        gpu_layers=split.gpu_layers,
        devices=(*used, HOST_NAME) if on_host or not used else used,
    )
