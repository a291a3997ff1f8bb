"""ggml's graph allocator: where every tensor of a graph would lie, without allocating any.

After ggml/src/ggml-alloc.c as of llama-cpp-python 0.3.36 (ggml 0.25.3, 2026-10-01): the smallest free block
that fits, else the open end; a result takes over its operand's memory where the operation allows it; memory
is given back after the last use.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from advisor.graphs.nodes import Tensor

ALIGNMENT: Final = 32
"""Of a CPU buffer, and of an RPC server that stands in for a GPU; CUDA's 128 changes a sum by little."""


_ENDLESS: Final = 1 << 62


class Heap:
    """One device's buffer: free blocks by address, of which the last is the open end.

    Blocks of no size are kept where ggml keeps them: they come between neighbours that would merge.
    """

    def __init__(self) -> None:
        self.peak = 0
        self._blocks = [[0, _ENDLESS]]
        """[address, size]."""

    def take(self, size: int) -> int:
        """The address of a new block of `size` bytes."""
        blocks = self._blocks
        best, best_size = len(blocks) - 1, _ENDLESS
        for i in range(len(blocks) - 1):
            if size <= blocks[i][1] <= best_size:
                best, best_size = i, blocks[i][1]
        block = blocks[best]
        address = block[0]
        block[0] += size
        block[1] -= size
        if not block[1]:
            del blocks[best]
        if address + size > self.peak:
            self.peak = address + size
        return address

    def give(self, address: int, size: int) -> None:
        """Take back a block: merged with the first free neighbour, and with the one beyond it."""
        blocks = self._blocks
        for i, block in enumerate(blocks):
            if block[0] + block[1] == address:
                block[1] += size
                if i + 1 < len(blocks) and block[0] + block[1] == blocks[i + 1][0]:
                    block[1] += blocks.pop(i + 1)[1]
                return
            if address + size == block[0]:
                block[0] = address
                block[1] += size
                if i and sum(blocks[i - 1]) == address:
                    blocks[i - 1][1] += block[1]
                    del blocks[i]
                return
        place = next((i for i, block in enumerate(blocks) if block[0] >= address), len(blocks))
        blocks.insert(place, [address, size])


def allocate(inputs: Sequence[Tensor], nodes: Sequence[Tensor], n_devices: int) -> tuple[int, ...]:
    """The peak of every device's buffer for nodes that run in this order, in bytes."""
    heaps = [Heap() for _ in range(n_devices)]
    _count(nodes)
    for tensor in inputs:
        _place(tensor, heaps)
    for node in nodes:
        _place(node, heaps)
        for source in node.sources:
            _use(source, heaps)
    return tuple(heap.peak for heap in heaps)


def _count(nodes: Iterable[Tensor]) -> None:
    for node in nodes:
        for source in node.sources:
            if source.root is not None and not source.children:
                source.root.views += 1
            source.children += 1


def _place(node: Tensor, heaps: list[Heap]) -> None:
    """Give a tensor memory, an operand's if that is allowed; views and external tensors have theirs."""
    if node.is_allocated or node.root is not None or node.is_external:
        return
    node.is_allocated = True
    if node.inplace:
        for parent in node.sources:
            if (
                parent.is_allocated
                and parent.children == 1
                and not parent.views
                and not parent.is_output
                and parent.shape == node.shape
                and parent.size == node.size
            ):
                node.address = parent.address
                parent.is_allocated = False
                return
    assert node.device is not None
    node.address = heaps[node.device].take(_aligned(node.size))


def _use(source: Tensor, heaps: list[Heap]) -> None:
    """One use of a tensor is over; after the last its memory is free."""
    source.children -= 1
    if source.children:
        return
    owner = source
    if source.root is not None:
        owner = source.root
        owner.views -= 1
    if owner.views or owner.children or not owner.is_allocated or owner.is_output:
        return
    assert owner.device is not None
    heaps[owner.device].give(owner.address, _aligned(owner.size))
    owner.is_allocated = False


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
