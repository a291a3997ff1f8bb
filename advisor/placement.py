"""Where a model's layers go on a machine: solved from the bytes, chosen by speed, not guessed.

llama.cpp puts the last layers on the GPUs, in their order, and the rest on the host; of the leading layers it
can keep the experts, or the ordinary feed-forward blocks, on the host. Each of these ways is solved for the
split that leaves the least on the slow side and still fits every device; where several fit, the fastest wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final

from advisor.assessment import DeviceMemory, MemoryEstimate, MemorySource, Placement
from advisor.filling import fill, gpu_sets, overfill, speed_of
from advisor.hardware import Gpu, Machine
from advisor.memory import (
    GPU_MARGIN_BYTES,
    GPU_OVERHEAD_BYTES,
    HOST_OVERHEAD_BYTES,
    Buffers,
    Footprint,
    Split,
    allocate,
    held,
)
from advisor.speed import COPY_BATCH

HOST_NAME: Final = "CPU"

Attempt = Callable[[int], Split | None]
"""The split that leaves n layers, or parts of them, to the host; None where the GPUs do not hold the rest.
More n always leaves more room there."""

Rate = Callable[[Split], float | None]
"""How fast a split decodes, in tokens/s; None where a bandwidth is not known."""


def estimate_memory(
    footprint: Footprint, split: Split, machine: Machine, source: MemorySource
) -> MemoryEstimate:
    """What every device of `machine` must hold under that split, against its capacity."""
    gpu_buffers, host_buffers = allocate(footprint, split)
    gpu_buffers = _with_copies(gpu_buffers, footprint, split, machine)
    gpus = [
        _gpu_memory(gpu, part) for gpu, part in zip(machine.gpus, _padded(gpu_buffers, machine), strict=True)
    ]
    capacity = host_capacity(machine, sum(row.total_bytes for row in gpus if machine.unified))
    host = DeviceMemory(
        name=HOST_NAME,
        kind="cpu",
        **host_buffers._asdict(),
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
        **part._asdict(),
        overhead_bytes=gpu_overhead(gpu) if used else 0,
        margin_bytes=GPU_MARGIN_BYTES if used else 0,
        capacity_bytes=gpu.capacity_bytes,
    )


def copied_bytes(footprint: Footprint, split: Split) -> int:
    """Room for the host's largest matrix, which the first discrete GPU is handed a copy of for prompts.

    Source: ggml_backend_sched's op_offload, one matrix a split (ggml-backend.cpp of llama-cpp-python 0.3.36);
    taken on top of the graph, whose peak may come at another moment.
    """
    weights = footprint.weights
    if not split.n_gpu_layers or footprint.graph.settings.n_ubatch_used < COPY_BATCH:
        return 0
    has_layers = split.n_gpu_layers <= footprint.n_layers
    experts = weights.largest_experts if has_layers or split.n_cpu_moe else 0
    return max(experts, weights.largest_matrix if has_layers or split.n_cpu_ffn else 0)


def _with_copies(
    parts: Sequence[Buffers], footprint: Footprint, split: Split, machine: Machine
) -> tuple[Buffers, ...]:
    """The GPUs' buffers as a real one needs them: llama.cpp's plan for remote ones knows no copies."""
    first = next((i for i, part in enumerate(parts) if part.weights_bytes), None)
    copied = copied_bytes(footprint, split)
    if first is None or not copied or machine.gpus[first].unified:
        return tuple(parts)
    grown = parts[first]._replace(compute_bytes=parts[first].compute_bytes + copied)
    return (*parts[:first], grown, *parts[first + 1 :])


def gpu_overhead(gpu: Gpu) -> int:
    """What a used GPU needs outside llama.cpp's buffers; unified memory has no second context to hold."""
    return 0 if gpu.unified else GPU_OVERHEAD_BYTES


def host_capacity(machine: Machine, used_by_gpus: int) -> int:
    """RAM left to the host's part; in a unified pool the GPU's part is taken from the same RAM.

    What the firmware keeps for the GPU alone is no room for the host, whether the GPU uses it or not.
    """
    return max(0, machine.host_capacity_bytes - max(used_by_gpus, machine.host.memory.gpu_only_bytes))


def fits(footprint: Footprint, split: Split, machine: Machine) -> bool:
    """Whether every device holds its part: `estimate_memory(…).fits` without the table."""
    used = [gpu for gpu, n in zip(machine.gpus, split.gpu_layers, strict=False) if n and not gpu.unified]
    room = machine.host_capacity_bytes + sum(gpu.capacity_bytes for gpu in used)
    if footprint.moved_bytes(0) - footprint.weights.tied_bytes > room:
        return False  # without a look at the graphs, which cost most of the time
    parts, host = held(footprint, split)
    free = _least_free(parts, host, footprint, split, machine)
    if free < 0:
        return False
    ample = footprint.graph.ample_bytes(pipeline=split.is_pipeline(footprint.n_layers))
    n_pooled = 1 + len(machine.gpus) if machine.unified else 1
    if ample is not None and free >= n_pooled * ample:
        return True  # graphs are worked out where they decide
    return _least_free(*allocate(footprint, split), footprint, split, machine) >= 0


def _least_free(
    parts: Sequence[Buffers], host: Buffers, footprint: Footprint, split: Split, machine: Machine
) -> int:
    """Bytes left on the device that has the fewest left; negative where one holds too much."""
    on_gpus, free = 0, []
    for gpu, part in zip(machine.gpus, _with_copies(parts, footprint, split, machine), strict=False):
        if part.weights_bytes:
            need = part.total_bytes + gpu_overhead(gpu) + GPU_MARGIN_BYTES
            free.append(gpu.capacity_bytes - need)
            on_gpus += need
    capacity = host_capacity(machine, on_gpus if machine.unified else 0)
    return min((*free, capacity - host.total_bytes - HOST_OVERHEAD_BYTES))


def solve(footprint: Footprint, machine: Machine, rate: Rate | None = None) -> Split | None:
    """The fastest split that fits; None when none does.

    Without `rate`, or where it does not know, the order decides: everything on as few GPUs as hold it, the
    faster first; as little as possible on the host; everything there.
    """
    whole = list(_whole(footprint, machine))
    if whole and not _has_slow_gpu(whole[0], machine):
        return _fastest(whole, rate)
    ways: dict[Split, Iterable[Split]] = {split: [split] for split in whole}
    ways |= _shared(footprint, machine)
    while ways:
        best = _fastest(tuple(ways), rate)
        proven = next((split for split in ways[best] if fits(footprint, split, machine)), None)
        if proven is not None:
            return proven
        del ways[best]
    host_only = Split(gpu_layers=(0,) * len(machine.gpus))
    return host_only if fits(footprint, host_only, machine) else None


def solve_on_gpus(footprint: Footprint, machine: Machine) -> Split | None:
    """The first split that leaves no layer to the host; None when none does."""
    return next(_whole(footprint, machine), None)


CLEAR_GAIN: Final = 1.05
"""A later, less plain way must be so much faster: less is within what no estimate tells apart."""


def _fastest(splits: Sequence[Split], rate: Rate | None) -> Split:
    """The first split that no later one clearly beats; the first of all where a rate is not known."""
    best = splits[0]
    if len(splits) == 1 or rate is None or (top := rate(best)) is None:
        return best
    for split in splits[1:]:
        own = rate(split)
        if own is not None and own > CLEAR_GAIN * top:
            best, top = split, own
    return best


def _has_slow_gpu(split: Split, machine: Machine) -> bool:
    """Whether the split uses a GPU that is no faster than the host."""
    host = machine.host.memory.bandwidth_bytes_per_s or 0
    used = [gpu for gpu, n in zip(machine.gpus, split.gpu_layers, strict=True) if n]
    return any(speed_of(gpu) <= host for gpu in used) and not machine.unified


def _whole(footprint: Footprint, machine: Machine) -> Iterator[Split]:
    """Everything on GPUs, by every set of them that holds it and that no other makes needless."""
    holding: list[tuple[int, ...]] = []
    for gpus in gpu_sets(machine.gpus):
        if any(_is_needless(machine, gpus, other) for other in holding):
            continue
        split = distribute(footprint, machine, gpus, footprint.n_layers + 1)
        if split is not None and fits(footprint, split, machine):
            yield split
            holding.append(gpus)
            if all(_is_needless(machine, (*gpus, i), gpus) for i in range(len(machine.gpus))):
                return


def _is_needless(machine: Machine, gpus: Sequence[int], other: Sequence[int]) -> bool:
    """Whether a set has, beside those of another that is enough, only GPUs no faster than its slowest."""
    slowest = min(speed_of(machine.gpus[i]) for i in other)
    added = [i for i in gpus if i not in other]
    return len(gpus) >= len(other) and all(speed_of(machine.gpus[i]) <= slowest for i in added)


def _shared(footprint: Footprint, machine: Machine) -> dict[Split, Iterable[Split]]:
    """All GPUs that are faster than the host together with it, in each way that there is.

    By the split that leaves as little as possible on the host: itself, then those that leave a little more.
    """
    host = machine.host.memory.bandwidth_bytes_per_s or 0
    gpus = tuple(i for i, gpu in enumerate(machine.gpus) if machine.unified or speed_of(gpu) > host)
    found: dict[Split, Iterable[Split]] = {}
    for attempt in _ways(footprint, machine, gpus) if gpus else ():
        least = _least_fit(1, footprint.n_layers, attempt)
        if least is not None:
            found[least[1]] = _from(least[0], footprint.n_layers, attempt)
    return found


def _ways(footprint: Footprint, machine: Machine, gpus: tuple[int, ...]) -> Iterator[Attempt]:
    """On these GPUs: everything but experts or feed-forward blocks, or only the last layers."""
    n, everything = footprint.n_layers, footprint.n_layers + 1
    place = partial(distribute, footprint, machine, gpus)
    if footprint.has_experts:
        if place(everything, n_cpu_moe=n):
            yield lambda kept: place(everything, n_cpu_moe=kept)
        else:
            yield lambda left: place(everything - left, n_cpu_moe=n)
    yield lambda left: place(everything - left)
    if footprint.has_dense_ffn and not footprint.has_experts:
        yield lambda kept: place(everything, n_cpu_ffn=kept)


def most_layers(footprint: Footprint, machine: Machine) -> Split:
    """As many layers on GPUs as they hold, the rest on the host whether it fits there or not."""
    place = partial(distribute, footprint, machine, tuple(range(len(machine.gpus))))
    everything = footprint.n_layers + 1
    most = machine.gpus and _least_fit(0, footprint.n_layers, lambda left: place(everything - left))
    return most[1] if most else Split(gpu_layers=(0,) * len(machine.gpus))


def _least_fit(low: int, high: int, attempt: Attempt) -> tuple[int, Split] | None:
    """The smallest n in low … high of which `attempt` makes a split, and that split."""
    found = None
    while low <= high:
        middle = (low + high) // 2
        split = attempt(middle)
        if split is None:
            low = middle + 1
        else:
            found, high = (middle, split), middle - 1
    return found


_RETRIES: Final = 4
"""A GPU's room is reckoned before its layers are known: its graph may then turn out a little larger."""


def _from(n: int, most: int, attempt: Attempt) -> Iterator[Split]:
    """The splits of n and a few more."""
    splits = (attempt(i) for i in range(n, min(n + _RETRIES, most + 1)))
    return (split for split in splits if split is not None)


def distribute(
    footprint: Footprint,
    machine: Machine,
    gpus: Sequence[int],
    n_gpu_layers: int,
    *,
    n_cpu_moe: int = 0,
    n_cpu_ffn: int = 0,
) -> Split | None:
    """Spread the last `n_gpu_layers` layers over the GPUs with those indices, the faster ones first.

    None when they do not fit. The parts are contiguous; the last GPU holds the output layer.
    """
    first, graph = footprint.n_layers + 1 - n_gpu_layers, footprint.graph
    whole = Split(gpu_layers=(n_gpu_layers,), n_cpu_moe=n_cpu_moe, n_cpu_ffn=n_cpu_ffn)
    is_pipeline = len(gpus) > 1 and not (first or n_cpu_moe or n_cpu_ffn) and footprint.kv_offload

    def beside_graph(i: int) -> int:
        gpu = machine.gpus[i]
        copied = copied_bytes(footprint, whole) if i == gpus[0] and not gpu.unified else 0
        fixed = gpu_overhead(gpu) + GPU_MARGIN_BYTES + footprint.weights.rope_bytes
        return gpu.capacity_bytes - fixed - copied

    def graph_bytes(i: int) -> int:
        if is_pipeline:
            return graph.pipeline_device(is_first=i == gpus[0], has_output=i == gpus[-1])
        return graph.device(has_output=i == gpus[-1])

    rooms = [beside_graph(i) for i in gpus]
    moved = footprint.moved_bytes(first, n_cpu_moe, n_cpu_ffn)
    if moved > sum(rooms):
        return None  # without a look at the graphs, which cost most of the time
    rooms = [room - graph_bytes(i) for i, room in zip(gpus, rooms, strict=True)]
    if len(gpus) > 1:
        sizes = footprint.layer_sizes(n_cpu_moe, n_cpu_ffn)[first:]
        counts = fill(sizes, rooms, [speed_of(machine.gpus[i]) for i in gpus])
    else:
        counts = [n_gpu_layers] if moved <= rooms[0] else None
    if counts is None:
        return None
    layers = [0] * len(machine.gpus)
    for index, count in zip(gpus, counts, strict=True):
        layers[index] = count
    return Split(gpu_layers=tuple(layers), n_cpu_moe=n_cpu_moe, n_cpu_ffn=n_cpu_ffn)


def force(footprint: Footprint, machine: Machine, n_gpu_layers: int) -> Split:
    """The last layers on the GPUs whether they fit or not, each GPU over-filled alike.

    n_gpu_layers: as llama.cpp counts, see `placement_of`.
    """
    n = _own_count(n_gpu_layers, footprint)
    sizes = footprint.layer_sizes()[max(0, footprint.n_layers + 1 - n) :]
    return Split(gpu_layers=tuple(overfill(sizes, [gpu.capacity_bytes for gpu in machine.gpus])))


def _own_count(n_gpu_layers: int, footprint: Footprint) -> int:
    """Layers that a `-ngl` moves: it counts multi-token-prediction blocks, which stand before the output."""
    return min(n_gpu_layers, max(1, n_gpu_layers - footprint.n_mtp_layers))


def placement_of(split: Split, footprint: Footprint, machine: Machine) -> Placement:
    """The split in the words of a plan, layers counted as llama.cpp counts them.

    To it the multi-token-prediction blocks of a file are layers before the output layer, loaded or not.
    """
    used = [i for i, n in enumerate(split.gpu_layers) if n]
    names = tuple(machine.gpus[i].name for i in used)
    on_host = split.n_gpu_layers <= footprint.n_layers or split.has_overrides
    layers = list(split.gpu_layers)
    if split.n_gpu_layers > 1:
        layers[used[-1]] += footprint.n_mtp_layers
    return Placement(
        n_gpu_layers=sum(layers),
        n_cpu_moe=split.n_cpu_moe or None,
        n_cpu_ffn=split.n_cpu_ffn or None,
        gpu_layers=tuple(layers),
        devices=(*names, HOST_NAME) if on_host or not names else names,
    )
