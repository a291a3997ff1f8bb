"""The compute buffers of llama.cpp by rule: its graph, its scheduler and its allocator, simulated.

A graph is built from the family's facts (`facts`, `model` and the blocks), split among the devices
(`scheduler`) and laid out in memory (`allocator`), each as llama.cpp does it. Nothing here depends on the
quantization. Where a plan of llama.cpp (`no_alloc`) and a real load differ, this follows the plan: in a load
a layer's first norm stays on its own device, so that a pipeline's later GPUs copy one row less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, cached_property, lru_cache, partial
from math import ceil
from typing import Final

from advisor.architecture import Architecture
from advisor.graphs.allocator import allocate
from advisor.graphs.altup import N_SPARSE_LAYERS
from advisor.graphs.builder import Builder
from advisor.graphs.checkpoints import has_checkpoints
from advisor.graphs.facts import facts_of
from advisor.graphs.layout import KEPT, Layout, Place, Placed, cache_owners, code, representative
from advisor.graphs.model import build
from advisor.graphs.scheduler import PIPELINE_COPIES, schedule
from advisor.settings import Settings
from advisor.tensors.families import FAMILIES
from advisor.value import Value

__all__ = [
    "Compute",
    "Layout",
    "Place",
    "cache_owners",
    "compute_bytes",
    "is_described",
    "layout_code",
    "simulate",
    "spread_evenly",
    "spread_name",
]


MORE_KEPT: Final = {"gemma3n": 1, "gemma4": 1, "llama4": 2, "nemotron_h": 1, "nemotron_h_moe": 1}
"""Repetitions beyond `KEPT` that a family needs, found by comparison with all of its layers."""
AMPLE: Final = 1.7
"""Times the largest buffer of layers spread evenly: of 968 splits of 90 models none took over 1.6 times."""
REMEMBERED: Final = 4096
"""Layouts whose buffers are kept: a sweep over a catalog asks for a few of every model."""


def is_described(family: str) -> bool:
    """Whether the graph is that of the family; any other's is taken for a plain decoder's."""
    return family in FAMILIES


@lru_cache(maxsize=REMEMBERED)
def compute_bytes(arch: Architecture, settings: Settings, layout: Layout) -> tuple[int, ...]:
    """The compute buffer of every GPU, and last that of the host."""
    placed = tuple(zip(arch.layers, layout.layers, strict=True))
    return _of_representatives(arch, settings, layout._replace(layers=()), _representatives(arch, placed))


def layout_code(arch: Architecture, layout: Layout) -> str:
    """A short name of everything about a layout that its buffers depend on, for one model."""
    placed = tuple(zip(arch.layers, layout.layers, strict=True))
    return code(arch.layers, layout._replace(layers=()), _representatives(arch, placed))


def _representatives(arch: Architecture, placed: tuple[Placed, ...]) -> tuple[Placed, ...]:
    """The layers to simulate.

    Those that take in an image's features, and Gemma 3n's sparse ones, are not like the rest.
    """
    if _needs_all(arch):
        return placed
    altup = arch.per_layer_embeddings and arch.per_layer_embeddings.n_altup
    special = N_SPARSE_LAYERS if altup else arch.n_deepstack_layers
    kept = KEPT + MORE_KEPT.get(arch.family, 0)
    return placed[:special] + representative(placed[special:], kept)


def _needs_all(arch: Architecture) -> bool:
    """Whether the layers leave different free blocks, however many there are.

    Where an index chooses what is attended to, every layer has a constant, or copies of inputs, of its own;
    the checkpoints of a residual stream become ever more; and where attention and feed-forward block are
    side by side, the free blocks come back after more layers than a few.
    """
    return bool(arch.indexer) or has_checkpoints(arch.family) or facts_of(arch).parallel


@lru_cache(maxsize=REMEMBERED)
def _of_representatives(
    arch: Architecture, settings: Settings, rest: Layout, placed: tuple[Placed, ...]
) -> tuple[int, ...]:
    return simulate(arch, settings, rest, placed)


def simulate(
    arch: Architecture, settings: Settings, rest: Layout, placed: tuple[Placed, ...]
) -> tuple[int, ...]:
    """The same for these layers, whatever `rest` says of layers."""
    host = rest.n_gpus
    graph = build(Builder(arch, settings, host), placed, rest.output)
    program = schedule(graph, host, PIPELINE_COPIES if rest.pipeline else 1)
    return allocate(program.inputs, program.nodes, host + 1)


class Compute(Value):
    """The compute buffers of one model under one setting."""

    arch: Architecture
    settings: Settings
    compiled: Mapping[str, tuple[int, ...]] = {}
    """Answers that were computed before, by `layout_code`."""

    def on(self, layout: Layout) -> tuple[int, ...]:
        """Of every GPU, and last of the host."""
        return self.known(layout)

    @cached_property
    def known(self) -> Callable[[Layout], tuple[int, ...]]:
        """The buffers of a layout, kept: a solver asks for the same ones again and again."""
        if not self.compiled:
            return cache(partial(compute_bytes, self.arch, self.settings))
        return cache(self._look_up)

    def _look_up(self, layout: Layout) -> tuple[int, ...]:
        if layout.n_gpus <= 1 and set(layout.layers) == {Place.on(0)}:
            found = self.compiled.get(spread_name(layout.n_gpus, pipeline=False))
        else:
            found = self.compiled.get(layout_code(self.arch, layout))
        return compute_bytes(self.arch, self.settings, layout) if found is None else found

    def device(self, *, has_output: bool) -> int:
        """A GPU's part where GPUs do not form a pipeline."""
        return self.spread(1 if has_output else 2, False)[0]

    def pipeline_device(self, *, is_first: bool, has_output: bool) -> int:
        """A GPU's part of a pipeline of three."""
        parts = self.spread(3, True)
        return parts[0] if is_first else parts[2 if has_output else 1]

    def ample_bytes(self, *, pipeline: bool) -> int | None:
        """More than the graph takes on a device, however the layers are split; None where that is not known.

        Layers that share a cache copy it from one device to the other, which may be many times more.
        """
        if any(owner != i for i, owner in enumerate(cache_owners(self.arch.layers))):
            return None
        piped = self.spread(3, True) if pipeline else ()
        return ceil(AMPLE * max(*self.spread(1, False), *self.spread(2, False), *piped))

    @cached_property
    def spread(self) -> Callable[[int, bool], tuple[int, ...]]:
        """`_spread` that keeps its answers."""
        return cache(self._spread)

    def _spread(self, n_gpus: int, pipeline: bool) -> tuple[int, ...]:
        if found := self.compiled.get(spread_name(n_gpus, pipeline=pipeline)):
            return found
        return self.on(spread_evenly(self.arch, n_gpus, pipeline=pipeline))


def spread_name(n_gpus: int, *, pipeline: bool) -> str:
    """What evenly spread layers are called among compiled answers, beside the layouts' codes."""
    return f"{n_gpus} in a pipeline" if pipeline else f"{n_gpus}"


def spread_evenly(arch: Architecture, n_gpus: int, *, pipeline: bool) -> Layout:
    """All layers on so many GPUs, each with its share of them."""
    n = arch.n_layers
    places = tuple(Place.on(i * n_gpus // n) for i in range(n))
    return Layout(n_gpus, places, n_gpus - 1, pipeline)
