"""How a run of layers is cut into one part a GPU: ours, solved, and llama.cpp's own by proportions."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate, chain, groupby
from math import inf
from struct import pack, unpack
from typing import Final

from advisor.hardware import Gpu
from advisor.speed import FITTED, DeviceLoad, rates_key

MAX_SPEEDS: Final = 4
"""Speeds of GPU in a machine of which every mixture is tried; of more, the fastest 1, 2, 3 … GPUs."""
_FILL_STEPS: Final = 12
"""Halvings of the share that GPUs are filled to: 1/4096 of a card is far below one layer."""


def fill(sizes: Sequence[int], rooms: Sequence[int], speeds: Sequence[float]) -> list[int] | None:
    """Layers on every GPU, in the GPUs' order; None when they do not fit.

    The slower GPUs take as little as possible. GPUs of one speed are filled to the same share of their room,
    so that the fullest is as empty as it can be.
    """
    if any(room <= 0 for room in rooms) or _cut(sizes, rooms) is None:
        return None
    if len(rooms) == 1:
        return [len(sizes)]
    room_left = [float(room) for room in rooms]
    for speed in sorted(set(speeds)):
        group = [i for i, own in enumerate(speeds) if own == speed]
        room_left = _least(sizes, room_left, group)
    return _cut(sizes, room_left)


def _least(sizes: Sequence[int], rooms: Sequence[float], group: Sequence[int]) -> list[float]:
    """The rooms, those of the group shrunk by one factor as far as the layers still fit."""

    def shrunk(share: float) -> list[float]:
        return [room * share if i in group else room for i, room in enumerate(rooms)]

    low, high = 0.0, 1.0
    for _ in range(_FILL_STEPS):
        middle = (low + high) / 2
        if _cut(sizes, shrunk(middle)) is None:
            low = middle
        else:
            high = middle
    return shrunk(high)


def _cut(sizes: Sequence[int], rooms: Sequence[float]) -> list[int] | None:
    """Fill one GPU after the other; None when layers are left over."""
    counts = [0] * len(rooms)
    gpu, used = 0, 0
    for size in sizes:
        while used + size > rooms[gpu]:
            gpu, used = gpu + 1, 0
            if gpu == len(rooms):
                return None
        counts[gpu] += 1
        used += size
    return counts


def overfill(sizes: Sequence[int], rooms: Sequence[int]) -> list[int]:
    """Layers on every GPU whether they fit or not, each GPU filled, or over-filled, to the same share."""
    share = 1.0
    while (counts := _cut(sizes, [max(1, room) * share for room in rooms])) is None:
        share *= _OVERFILL_STEP
    return counts


_OVERFILL_STEP: Final = 1.05


def by_proportion(proportions: Sequence[float], n_gpu_layers: int) -> tuple[int, ...]:
    """Layers on every GPU as llama.cpp divides them: by `-ts`, or by the GPUs' free bytes without it.

    A layer goes to the first GPU whose part of the cumulated proportions ends above the layer's own place, in
    single precision (llama-model.cpp of llama-cpp-python 0.3.36).
    """
    ends = list(accumulate((_single(part) for part in proportions), lambda a, b: _single(a + b)))
    ends = [_single(end / ends[-1]) for end in ends]
    counts = [0] * len(ends)
    for layer in range(n_gpu_layers):
        counts[bisect_right(ends, _single(layer / n_gpu_layers))] += 1
    return tuple(counts)


def _single(value: float) -> float:
    """Rounded to single precision."""
    return float(unpack("f", pack("f", value))[0])


def speed_of(gpu: Gpu) -> float:
    """Bytes/s of weights that llama.cpp's kernels reach; unknown bandwidth is taken for the fastest."""
    return _reached(gpu.vendor, gpu.unified, gpu.compute_capability, gpu.bandwidth_bytes_per_s)


@cache
def _reached(vendor: str, unified: bool, capability: str | None, bandwidth: int | None) -> float:
    load = DeviceLoad(
        name="",
        kind="gpu",
        vendor=vendor,
        unified=unified,
        compute_capability=capability,
        weight_bytes=0,
        n_params_active=0,
        n_layers=0,
    )
    return (bandwidth or inf) * FITTED.rates[rates_key(load, "llama.cpp")].weights


def gpu_sets(gpus: Sequence[Gpu]) -> Iterator[tuple[int, ...]]:
    """Sets of GPUs worth trying, fewest first, then those with more of the faster ones.

    Of GPUs of one speed the roomiest are taken first.
    """
    order = sorted(range(len(gpus)), key=lambda i: (-speed_of(gpus[i]), -gpus[i].capacity_bytes))
    kinds = [list(kind) for _, kind in groupby(order, key=lambda i: speed_of(gpus[i]))]
    if len(kinds) > MAX_SPEEDS:
        yield from (tuple(sorted(order[:total])) for total in range(1, len(order) + 1))
        return
    for total in range(1, len(order) + 1):
        for counts in _counts(total, [len(kind) for kind in kinds]):
            taken = (kind[:n] for kind, n in zip(kinds, counts, strict=True))
            yield tuple(sorted(chain.from_iterable(taken)))


def _counts(total: int, limits: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Every way to take `total` things of kinds with those limits, more of the first kinds first."""
    if not limits:
        if total == 0:
            yield ()
        return
    for n in range(min(total, limits[0]), -1, -1):
        yield from ((n, *rest) for rest in _counts(total - n, limits[1:]))
