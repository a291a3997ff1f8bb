"""ggml's scheduler: which device runs a node, and what is copied from one device to another.

After ggml_backend_sched_split_graph of ggml/src/ggml-backend.cpp as of llama-cpp-python 0.3.36 (2026-10-01),
for devices that support every operation. The last device is the host.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from advisor.graphs.nodes import Graph, Tensor

PIPELINE_COPIES: Final = 4
"""Copies that llama.cpp keeps of everything that crosses devices, once several GPUs form a pipeline."""


class Program(NamedTuple):
    """What the allocator walks through: tensors that come first, then nodes in their order."""

    inputs: list[Tensor]
    nodes: list[Tensor]


def schedule(graph: Graph, host: int, n_copies: int) -> Program:
    """Give every node a device and add the copies between devices."""
    _assign(graph.nodes, host)
    if not host:
        return Program(graph.inputs, graph.nodes)
    copies: dict[tuple[Tensor, int], Tensor] = {}
    nodes: list[Tensor] = []
    for split in _splits(graph.nodes):
        nodes += _copied_inputs(split, copies)
        nodes += split
    if n_copies == 1:
        return Program(graph.inputs, nodes)
    given = [tensor for tensor in graph.inputs if tensor.device == host]
    constants = [tensor for tensor in graph.inputs if tensor.device != host]
    return Program([*_kept((*given, *copies.values()), n_copies), *constants], nodes)


def _assign(nodes: Sequence[Tensor], host: int) -> None:
    """An operation with a weight runs where that is; GPUs then take what stands beside, the host the rest."""
    for node in nodes:
        node.device = node.pin
    backwards = nodes[::-1]
    for ignored in (host, None):
        _spread(nodes, ignored)
        _spread(backwards, ignored)


def _spread(nodes: Iterable[Tensor], ignored: int | None) -> None:
    current: int | None = None
    for node in nodes:
        if node.device is None:
            node.device = current
        else:
            current = None if node.device == ignored else node.device


def _splits(nodes: Sequence[Tensor]) -> list[list[Tensor]]:
    """Runs of nodes on one device."""
    splits: list[list[Tensor]] = []
    for node in nodes:
        if splits and splits[-1][0].device == node.device:
            splits[-1].append(node)
        else:
            splits.append([node])
    return splits


def _copied_inputs(split: list[Tensor], copies: dict[tuple[Tensor, int], Tensor]) -> list[Tensor]:
    """The copies that a split starts with, each after a use of its original; the split's nodes read them."""
    device = split[0].device
    assert device is not None
    added: list[Tensor] = []
    for node in split:
        sources: list[Tensor] = []
        for source in node.sources:
            if (source.root or source).device != device:
                copy = copies.get((source, device))
                if copy is None:
                    copy = copies[source, device] = source.like(device)
                    added += (Tensor((1,), (source,), root=source.root or source), copy)
                source = copy
            sources.append(source)
        node.sources = tuple(sources)
    return added


def _kept(tensors: Iterable[Tensor], n_copies: int) -> list[Tensor]:
    """Those tensors and their copies: nothing of them is ever overwritten."""
    kept: list[Tensor] = []
    for tensor in tensors:
        tensor.is_output = True
        kept.append(tensor)
        for _ in range(n_copies - 1):
            again = tensor.like(tensor.device)
            again.is_output = True
            kept.append(again)
    return kept
