"""A computation graph as llama.cpp's allocator sees it: sizes, sources, views, and what may overwrite what.

Only what decides memory is kept: no values, no types beyond their size, no weights (they are allocated
elsewhere) except as the reason why an operation runs on a certain device.
"""

from __future__ import annotations

from math import prod
from typing import Final

F32: Final = 4
F16: Final = 2
I64: Final = 8
I32: Final = 4

Shape = tuple[int, ...]


class Tensor:
    """One operation's result, an input, or a view of either.

    sources: what it is computed from, from the left.
    unit: bytes of one value.
    inplace: it may take the memory of a source of the same layout that nobody needs afterwards.
    root: the tensor whose memory a view shows.
    pin: the device that the operation's weight, or the cache it writes, is on.
    """

    is_input = False
    is_output = False
    """Never freed, never overwritten."""
    is_external = False
    """Lies in other memory than the graph's."""
    is_visited = False
    # The scheduler's and the allocator's notes:
    device: int | None = None
    address = 0
    children = 0
    """Uses to come."""
    views = 0
    """Views with uses to come."""
    is_allocated = False

    def __init__(
        self,
        shape: Shape,
        sources: tuple[Tensor, ...] = (),
        *,
        unit: int = F32,
        inplace: bool = False,
        root: Tensor | None = None,
        pin: int | None = None,
    ) -> None:
        while shape[-1] == 1 and len(shape) > 1:
            shape = shape[:-1]
        self.shape = shape
        self.sources = sources
        self.unit = unit
        self.size = prod(shape) * unit
        self.inplace = inplace
        self.root = root
        self.pin = pin

    def like(self, device: int | None) -> Tensor:
        """A tensor of the same layout on that device."""
        copy = Tensor(self.shape, unit=self.unit)
        copy.size, copy.device = self.size, device
        return copy


class Graph:
    """Nodes in the order in which they run, and the inputs in the order in which they are met."""

    def __init__(self) -> None:
        self.inputs: list[Tensor] = []
        self.nodes: list[Tensor] = []

    def expand(self, tensor: Tensor) -> None:
        """Append `tensor` after everything it needs, sources from the left: ggml_build_forward_expand."""
        if tensor.is_visited:
            return
        tensor.is_visited = True
        for source in tensor.sources:
            if not source.is_visited:
                self.expand(source)
        if tensor.is_input:
            self.inputs.append(tensor)
        elif tensor.root is None or tensor.pin is not None:
            self.nodes.append(tensor)
