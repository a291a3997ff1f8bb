"""Which device holds which part of a model, and how few of its layers show what all of them need."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from advisor.architecture import Layer, LayerKind


class Place(NamedTuple):
    """Where the parts of one layer are: GPUs count from 0, the host comes after them."""

    layer: int
    experts: int
    """Its routed experts."""
    ffn: int
    """Its ordinary feed-forward block."""
    cache: int
    """Its cache or state; of a layer that reads an earlier layer's, that one."""

    @classmethod
    def on(cls, device: int) -> Place:
        """All on one device."""
        return cls(device, device, device, device)


class Layout(NamedTuple):
    """Where everything is."""

    n_gpus: int
    layers: tuple[Place, ...]
    """Every layer's place, first to last."""
    output: int
    pipeline: bool = False
    """The GPUs work on several batches at once."""

    @classmethod
    def on_host(cls, n_layers: int) -> Layout:
        return cls(0, (Place.on(0),) * n_layers, 0)


Placed = tuple[Layer, Place]


def cache_owners(layers: Sequence[Layer]) -> list[int]:
    """The layer whose cache each layer reads: its own, or the last one of its kind that has one."""
    owners: list[int] = []
    last: dict[LayerKind, int] = {}
    for i, layer in enumerate(layers):
        if layer.owns_cache:
            last[layer.kind] = i
        owners.append(i if layer.owns_cache else last.get(layer.kind, i))
    return owners


CODE_BYTES: Final = 6
"""Enough for the few dozen layouts of one model never to meet in one."""


def code(layers: Sequence[Layer], rest: Layout, placed: Sequence[Placed]) -> str:
    """A short name of those representatives, among the layouts of the model with those layers."""
    names = {layer: i for i, layer in enumerate(dict.fromkeys(layers))}
    row = [(names[layer], *place) for layer, place in placed]
    text = f"{rest.n_gpus} {rest.output} {rest.pipeline} {row}"
    return blake2b(text.encode(), digest_size=CODE_BYTES).hexdigest()


LONGEST_PERIOD: Final = 16
"""Layers after which a pattern of layers starts again, at most."""
KEPT: Final = 3
"""Repetitions that are simulated of a run of equal periods."""


def representative(layers: tuple[Placed, ...], kept_periods: int = KEPT) -> tuple[Placed, ...]:
    """The layers without most of the repetitions of a run.

    A layer finds the free blocks as the one before it found them, or as the one before that: so everything
    repeats, and an even number of repetitions can be left out.
    """
    names: dict[Placed, int] = {}
    row = [names.setdefault(layer, len(names)) for layer in layers]
    kept = list(range(len(row)))
    for period in range(1, min(LONGEST_PERIOD, len(row) // 2) + 1):
        kept = _cut(row, kept, period, kept_periods)
    return tuple(layers[i] for i in kept)


def _cut(row: list[int], kept: list[int], period: int, kept_periods: int) -> list[int]:
    """`kept` without the needless repetitions of one period."""
    result: list[int] = []
    start = 0
    names = [row[i] for i in kept]
    while start < len(names):
        stop = start + period
        while stop < len(names) and names[stop] == names[stop - period]:
            stop += 1
        surplus = ((stop - start) // period - kept_periods) // 2 * 2
        if surplus > 0:
            result += kept[start : start + period * (kept_periods - 1)]
            start += period * (kept_periods - 1 + surplus)
        else:
            result.append(kept[start])
            start += 1
    return result
