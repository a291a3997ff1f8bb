"""What every block of a graph needs: the sizes of a batch, the shared inputs, and the common operations."""

from __future__ import annotations

from functools import cached_property
from typing import Final, NamedTuple

from advisor.architecture import Architecture, Layer, LayerKind
from advisor.graphs.facts import Facts, facts_of
from advisor.graphs.layout import Place
from advisor.graphs.nodes import F16, F32, I32, I64, Graph, Shape, Tensor
from advisor.settings import CELL_PADDING, Settings
from advisor.units import pad

ROTATION: Final = 64
"""Side of the rotation that llama.cpp applies before it quantizes a cache, and of its K's smallest."""


BLOCK: Final = 128
"""Positions in a block of MiniMax M3's attention, as its config says."""
PLANNED_POSITIONS: Final = 256
"""Positions of such blocks in llama.cpp's plan, which it makes while its cache is empty."""


class Attended(NamedTuple):
    """The inputs of one kind of cache, shared by the layers that use it."""

    mask: Tensor
    k_index: Tensor
    v_index: Tensor
    k_rotation: Tensor | None
    v_rotation: Tensor | None
    n_cells: int
    n_streams: int


class Blocks(NamedTuple):
    """The inputs that the layers share whose index chooses blocks."""

    k_index: Tensor
    bias: Tensor
    position_mask: Tensor
    cells: Tensor
    """The cell of every position."""
    block_of_cell: Tensor
    mask: Tensor
    """The mask of attention in F32."""


class Summaries(NamedTuple):
    """The inputs of DeepSeek V4's caches of one kind, whose entries each stand for several tokens."""

    ratio: int
    overlap: int
    """Spans of `ratio` tokens that a summary is made of."""
    n_cells: int
    n_blocks: int
    """Summaries that a batch may complete."""
    n_state_rows: int
    """Tokens that wait for theirs."""
    positions: Tensor
    read_ids: Tensor
    write_ids: Tensor
    write_positions: Tensor
    persisted: Tensor
    persisted_to: Tensor
    mask: Tensor
    rotation: Tensor | None


class Builder:
    """A graph in the making, for one architecture under one setting."""

    def __init__(self, arch: Architecture, settings: Settings, host: int) -> None:
        self.arch = arch
        self.settings = settings
        self.facts: Facts = facts_of(arch)
        self.graph = Graph()
        self.host = host
        self.place = Place.on(host)
        self.n_tokens = pad(settings.n_ubatch_used, settings.n_seqs)
        self.n_outputs = min(self.n_tokens, settings.n_outputs)
        self.flash_attn = settings.flash_attn
        self.chosen: Tensor | None = None
        """The tokens that sparse attention's last index chose."""
        self.features: Tensor | None = None
        """The embeddings with the room for an image's features beside them (Qwen 3 VL)."""

    # Inputs

    def input(self, n_values: int, unit: int, *columns: int) -> Tensor:
        tensor = Tensor((n_values, *columns), unit=unit)
        tensor.is_input, tensor.device = True, self.host
        return tensor

    @cached_property
    def tokens(self) -> Tensor:
        return self.input(self.n_tokens, I32)

    @cached_property
    def positions(self) -> Tensor:
        return self.input(self.n_tokens * self.facts.n_positions, I32)

    @cached_property
    def temperature(self) -> Tensor:
        return self.input(1, F32, 1, self.n_tokens)

    @cached_property
    def output_ids(self) -> Tensor:
        return self.input(self.n_outputs, I32)

    @cached_property
    def all_state_ids(self) -> Tensor:
        return self.input(self.settings.n_seqs, I32)

    @cached_property
    def state_ids(self) -> Tensor:
        """The states that this batch uses: all of them."""
        return self.view(self.all_state_ids, self.settings.n_seqs)

    @cached_property
    def other_state_ids(self) -> Tensor:
        """The rest: none, but llama.cpp moves them all the same."""
        return Tensor((0,), (self.all_state_ids,), unit=I32, root=self.all_state_ids)

    @cached_property
    def full(self) -> Attended:
        if self.arch.is_encoder:
            return self._attended(self.n_tokens, 1, 0)
        width = self.arch.head_dim_full or self.arch.head_dim
        return self._attended(self.settings.n_cells, self.settings.n_streams, width)

    @cached_property
    def sliding(self) -> Attended:
        if self.arch.is_encoder:
            return self._attended(self.n_tokens, 1, 0)
        n_cells = self.settings.n_cells_swa(self.arch.n_swa)
        return self._attended(n_cells, self.settings.n_streams, self.arch.head_dim)

    def _attended(self, n_cells: int, n_streams: int, head_dim: int) -> Attended:
        unit = F16 if self.flash_attn else F32
        v_values = (
            1 if self.flash_attn else max(layer.n_kv_heads * layer.head_dim_v for layer in self.arch.layers)
        )
        return Attended(
            mask=self.input(n_cells, unit, self.n_tokens // n_streams, 1, n_streams),
            k_index=self.input(self.n_tokens, I64),
            v_index=self.input(self.n_tokens * v_values, I64),
            k_rotation=self._rotation(head_dim, grows=True),
            v_rotation=self._rotation(head_dim, grows=False),
            n_cells=n_cells,
            n_streams=n_streams,
        )

    def _rotation(self, width: int, *, grows: bool) -> Tensor | None:
        if self.settings.kv_type not in ("q8_0", "q4_0") or not width or width % ROTATION or self.arch.mla:
            return None
        side = ROTATION
        while grows and width % (2 * side) == 0:
            side *= 2
        return self.input(side, F32, side)

    @cached_property
    def index(self) -> Attended:
        """The index of sparse attention; its mask is in F16 in any case, its keys are always rotated."""
        settings, n, streams = self.settings, self.n_tokens, self.settings.n_streams
        assert self.arch.indexer is not None
        side = ROTATION
        while self.arch.indexer.head_dim % (2 * side) == 0:
            side *= 2
        return Attended(
            mask=self.input(settings.n_cells, F16, n // streams, 1, streams),
            k_index=self.input(n, I64),
            v_index=self.input(n, I64),
            k_rotation=self.input(side, F32, side),
            v_rotation=None,
            n_cells=settings.n_cells,
            n_streams=streams,
        )

    @cached_property
    def blocks(self) -> Blocks:
        n_cells, n, streams = self.settings.n_cells, self.n_tokens, self.settings.n_streams
        return Blocks(
            k_index=self.input(n, I64),
            bias=self.input(PLANNED_POSITIONS // BLOCK, F32, n),
            position_mask=self.input(PLANNED_POSITIONS, F32, n),
            cells=self.input(PLANNED_POSITIONS, I32, streams),
            block_of_cell=self.input(n_cells, I32, streams),
            mask=self.op(self.full.mask.shape, self.full.mask),
        )

    def summaries(self, layer: Layer) -> Summaries:
        """Those of a layer's own cache."""
        return self._indexed_summaries if layer.index_dim else self._plain_summaries

    @cached_property
    def index_summaries(self) -> Summaries:
        return self._summaries(
            next(layer.compress_ratio for layer in self.arch.layers if layer.index_dim),
            overlap=2,
            mask_unit=F16,
            rotation=self.index.k_rotation,
        )

    @cached_property
    def _indexed_summaries(self) -> Summaries:
        ratio = next(layer.compress_ratio for layer in self.arch.layers if layer.index_dim)
        return self._own_summaries(ratio, overlap=2)

    @cached_property
    def _plain_summaries(self) -> Summaries:
        ratios = (layer.compress_ratio for layer in self.arch.layers if not layer.index_dim)
        return self._own_summaries(next(ratio for ratio in ratios if ratio), overlap=1)

    def _own_summaries(self, ratio: int, overlap: int) -> Summaries:
        unit = F16 if self.flash_attn else F32
        rotation = self._rotation(self.arch.head_dim, grows=True)
        return self._summaries(ratio, overlap, unit, rotation)

    def _summaries(self, ratio: int, overlap: int, mask_unit: int, rotation: Tensor | None) -> Summaries:
        n, streams = self.n_tokens, self.settings.n_streams
        n_blocks, rows = n // ratio + self.settings.n_seqs, overlap * ratio * streams
        n_cells = pad(-(-self.settings.n_cells // ratio), CELL_PADDING)
        return Summaries(
            ratio=ratio,
            overlap=overlap,
            n_cells=n_cells,
            n_blocks=n_blocks,
            n_state_rows=rows,
            positions=self.input(n, I32),
            read_ids=self.input(overlap * ratio * n_blocks, I32),
            write_ids=self.input(n_blocks, I64),
            write_positions=self.input(n_blocks, I32),
            persisted=self.input(min(n, rows), I32),
            persisted_to=self.input(min(n, rows), I32),
            mask=self.input(n_cells, mask_unit, n // streams, 1, streams),
            rotation=rotation,
        )

    def attended(self, layer: Layer) -> Attended:
        return self.sliding if layer.kind is LayerKind.SLIDING else self.full

    # Operations

    def op(self, shape: Shape, *sources: Tensor, unit: int = F32) -> Tensor:
        """A result in memory of its own."""
        return Tensor(shape, sources, unit=unit)

    def over(self, first: Tensor, *others: Tensor, pin: int | None = None) -> Tensor:
        """A result of the first source's shape that may overwrite a source."""
        return Tensor(first.shape, (first, *others), inplace=True, pin=pin)

    def mm(self, x: Tensor, width: int, pin: int | None = None) -> Tensor:
        """By one of the layer's matrices."""
        return Tensor((width, *x.shape[1:]), (x,), pin=self.place.layer if pin is None else pin)

    def weighted(self, x: Tensor) -> Tensor:
        """Times, or plus, one of the layer's vectors."""
        return self.over(x, pin=self.place.layer)

    def norm(self, x: Tensor) -> Tensor:
        """A norm and its weight, as one operation."""
        return Tensor(x.shape, (x,), inplace=self.facts.rms_norm, pin=self.place.layer)

    def first_norm(self, x: Tensor) -> Tensor:
        """The same where a device may begin: the norm, which has no weight, stays on the one before."""
        return self.weighted(Tensor(x.shape, (x,), inplace=self.facts.rms_norm))

    def view(self, x: Tensor, *shape: int) -> Tensor:
        return Tensor(shape, (x,), root=x.root or x)

    def rows(self, x: Tensor, ids: Tensor) -> Tensor:
        return self.op((*x.shape[:1], ids.shape[0]), x, ids)

    def store(self, *sources: Tensor) -> Tensor:
        """Written into the layer's cache or state."""
        return Tensor((1,), sources, root=_ELSEWHERE, pin=self.place.cache)

    def stored(self, n_bytes: int) -> tuple[Tensor, ...]:
        """Read from the layer's cache or state: of interest only where another device needs a copy."""
        if self.place.cache == self.place.layer:
            return ()
        return (self.external(n_bytes, self.place.cache),)

    def external(self, n_bytes: int, device: int) -> Tensor:
        """A tensor that lies in other memory than the graph's."""
        tensor = Tensor((n_bytes,), unit=1)
        tensor.is_external = tensor.is_visited = True
        tensor.device = device
        return tensor

    def expand(self, *tensors: Tensor) -> None:
        for tensor in tensors:
            self.graph.expand(tensor)


_ELSEWHERE: Final = Tensor((1,))
_ELSEWHERE.is_external = True
