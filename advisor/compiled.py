"""Compute buffers worth knowing beforehand: a catalog model under its usual setting, however it is split.

A simulated graph takes one to five milliseconds; a recommendation asks for a hundred of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from advisor.architecture import Architecture
from advisor.graphs import Layout, compute_bytes, layout_code, spread_evenly, spread_name
from advisor.memory import Split, layout_of
from advisor.settings import Settings

Compiled = Mapping[str, tuple[int, ...]]
"""The buffer of every GPU and last that of the host, by `layout_code` or `spread_name`."""


def usual_buffers(arch: Architecture, settings: Settings) -> dict[str, tuple[int, ...]]:
    """The buffers of every layout on a host with up to two GPUs, one for all splits that have the same."""
    known: dict[str, tuple[int, ...]] = {}
    for layout in _layouts(arch):
        code = layout_code(arch, layout)
        if code not in known:
            known[code] = compute_bytes(arch, settings, layout)
    for n_gpus, pipeline in ((1, False), (2, False), (3, True)):
        layout = spread_evenly(arch, n_gpus, pipeline=pipeline)
        known[spread_name(n_gpus, pipeline=pipeline)] = known[layout_code(arch, layout)]
    known[spread_name(0, pipeline=False)] = known[layout_code(arch, layout_of(arch, Split()))]
    return dict(sorted(known.items()))


def _layouts(arch: Architecture) -> Iterator[Layout]:
    everything = arch.n_layers + 1
    yield layout_of(arch, Split())
    yield spread_evenly(arch, 2, pipeline=False)  # what a solver reckons with before it knows the layers
    yield spread_evenly(arch, 3, pipeline=True)
    for n in range(1, everything + 1):
        yield layout_of(arch, Split(gpu_layers=(n,)))
        yield layout_of(arch, Split(gpu_layers=(everything - n, n)))
    for n in range(1, everything):
        if any(layer.has_experts for layer in arch.layers):
            yield layout_of(arch, Split(gpu_layers=(everything,), n_cpu_moe=n))
        if any(layer.n_ff for layer in arch.layers):
            yield layout_of(arch, Split(gpu_layers=(everything,), n_cpu_ffn=n))
