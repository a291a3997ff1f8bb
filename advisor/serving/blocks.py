"""vLLM's cache: pages of tokens in one pool that all kinds of layers draw from.

Read in the wheel of vLLM 0.33.0 (v1/core/kv_cache_planning.py, v1/kv_cache_interface.py), 2026-11-21. Layers
that remember alike form groups of equally many layers; one block is a page in every layer of a group, and a
request takes whole blocks of every group. Prefix caching, async scheduling and the layer-outermost layout,
its defaults, are taken for granted; speculative decoding is not planned for.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal, NamedTuple

from advisor.architecture import Architecture, Layer, LayerKind, Mla
from advisor.caches import F32
from advisor.errors import AdvisorError
from advisor.i18n import _
from advisor.serving.ranks import BF16, kv_heads_of_rank
from advisor.units import pad
from advisor.usecase import KvType
from advisor.value import Value

BLOCK_TOKENS: Final = 16
MLA_HYBRID_ALIGNMENT: Final = 128
"""Blocks of latent attention beside recurrent layers are multiples of this."""
CACHE_BYTES: Final[dict[KvType, int]] = {"f16": 2, "fp8": 1}
NULL_BLOCKS: Final = 1
"""Held back from the pool as the page that is never read."""
STATE_BLOCKS: Final = 2
"""States kept of a request with prefix caching: the running one and the last at a block's end."""
CONCURRENT_BATCHES: Final = 2
"""Async scheduling prepares one batch while another runs: windows cannot be freed before both are done."""
PADDING_RATIO: Final = 1.5
"""Kinds of layers whose counts differ by less become one group each, padded to the larger."""

_F32_STATES: Final = frozenset({"qwen35", "qwen35moe", "nemotron_h", "nemotron_h_moe"})
"""Families whose configs ask for states in F32; the others' are in BF16, as the convolutions' always are.
Kimi's delta attention has them in F32 whatever is asked for."""
INDEX_SCALE_VALUES: Final = 128
"""An index beside latents is in FP8 whatever the cache's type, with an F32 scale for so many values; so are,
with an FP8 cache, the latents that it chooses from, their rotated part in BF16 (vLLM's fp8_ds_mla)."""
_CHUNKED: Final = frozenset({"llama4"})
"""Families whose local layers see the chunk they are in, not the last tokens."""

Kind = Literal["full", "sliding", "chunked", "state"]


class _Page(NamedTuple):
    """What one block takes in one layer, and the tokens it stands for."""

    kind: Kind
    block_tokens: int
    bytes: int


class Group(Value):
    """Layers that share their block table."""

    kind: Kind
    block_tokens: int
    layers: tuple[int, ...]
    """Numbers of the layers; a layer with both a cache and a state is in two groups."""
    page_bytes: tuple[int, ...]
    """Of every layer."""


class Layout(Value):
    """The cache of one tensor-parallel rank."""

    groups: tuple[Group, ...]
    window: int = 0
    states_kept: int = STATE_BLOCKS
    """Blocks of a group of states that a request holds."""

    def bytes_per_block(self, stage: range) -> int:
        """What a block takes on a rank that has only the layers of `stage`."""
        return max(
            (
                sum(size for i, size in zip(group.layers, group.page_bytes, strict=True) if i in stage)
                for group in self.groups
            ),
            default=0,
        )

    def blocks(self, n_ctx: int, n_in_flight: int) -> int:
        """Blocks that one request of `n_ctx` tokens takes of the pool, of all groups together.

        n_in_flight: tokens that are scheduled and not settled yet.
        """
        return sum(self._group_blocks(group, n_ctx, n_in_flight) for group in self.groups)

    def state_blocks(self) -> int:
        """The part of them that holds recurrent states."""
        return self.states_kept * sum(group.kind == "state" for group in self.groups)

    def _group_blocks(self, group: Group, n_ctx: int, n_in_flight: int) -> int:
        if group.kind == "state":
            return self.states_kept
        if group.kind == "full":
            return -(-n_ctx // group.block_tokens)
        if group.kind == "chunked":
            return -(-min(self.window + n_in_flight, n_ctx) // group.block_tokens)
        # A window may begin in the middle of a block.
        return -(-min(self.window - 1 + n_in_flight, n_ctx) // group.block_tokens) + 1

    def max_n_ctx(self, n_blocks: int, n_in_flight: int, longest: int) -> int:
        """The longest sequence up to `longest` that one request can have in `n_blocks`; 0 for none."""
        low, high = 0, longest
        while low < high:
            middle = (low + high + 1) // 2
            if self.blocks(middle, n_in_flight) <= n_blocks:
                low = middle
            else:
                high = middle - 1
        return low


def layout_of(arch: Architecture, kv_type: KvType, tensor_parallel: int) -> Layout:
    """The groups and pages of a model's cache on one rank.

    Raises `AdvisorError` for a cache type that vLLM does not have.
    """
    if kv_type not in CACHE_BYTES:
        raise AdvisorError(_("vLLM has no {kv_type} cache: use --kv-type f16 or fp8").format(kv_type=kv_type))
    if arch.is_encoder:
        return Layout(groups=())
    pages = _unified(_pages(arch, kv_type, tensor_parallel))
    return Layout(groups=_grouped(pages), window=arch.n_swa)


def token_bytes(arch: Architecture, i: int, kv_type: KvType, tensor_parallel: int) -> int:
    """One token's keys and values in layer `i` on one rank; a latent or an index is on every rank, without V.

    Raises `AdvisorError` for compressed attention.
    """
    size, layer = CACHE_BYTES[kv_type], arch.layers[i]
    if arch.compressed:
        raise AdvisorError(
            _("the engines' caches for compressed attention ({family}) have no rules: use llama.cpp").format(
                family=arch.family
            )
        )
    if arch.mla:
        return _latent_bytes(arch, arch.mla, layer, size)
    heads = kv_heads_of_rank(layer.n_kv_heads, tensor_parallel)
    return heads * (layer.head_dim + layer.head_dim_v) * size + layer.index_dim * BF16


def _latent_bytes(arch: Architecture, mla: Mla, layer: Layer, size: int) -> int:
    """One token's latent, and its entry in the layer's index."""
    index = _scaled(layer.index_dim)
    if arch.indexer and size < BF16:
        return index + _scaled(mla.kv_lora_rank) + mla.qk_rope_head_dim * BF16
    return index + (mla.kv_lora_rank + mla.qk_rope_head_dim) * size


def _scaled(n: int) -> int:
    """So many values in FP8, and their scales."""
    return n + n // INDEX_SCALE_VALUES * F32


def state_bytes(arch: Architecture, tensor_parallel: int) -> int:
    """One request's state in one recurrent layer on one rank, the convolution's columns included."""
    r = arch.recurrent
    if r is None:
        return 0
    if r.kind == "short_conv":
        return (r.d_conv - 1) * arch.n_embd // tensor_parallel * BF16
    groups = r.n_groups if r.kind == "delta_net" else pad(r.n_groups, tensor_parallel)
    columns = (r.d_conv - 1) * (r.d_inner + 2 * groups * r.d_state) // tensor_parallel
    state = r.d_inner * r.d_state // tensor_parallel
    return columns * BF16 + state * (F32 if r.kind == "kda" or arch.family in _F32_STATES else BF16)


def _pages(arch: Architecture, kv_type: KvType, tensor_parallel: int) -> list[tuple[int, _Page]]:
    """One page a cache, and one a state, with the number of its layer."""
    attending = [i for i, layer in enumerate(arch.layers) if layer.owns_cache]
    recurring = [i for i, layer in enumerate(arch.layers) if layer.kind.has_state]
    per_token = {i: token_bytes(arch, i, kv_type, tensor_parallel) for i in attending}
    block = BLOCK_TOKENS
    state = state_bytes(arch, tensor_parallel) if recurring else 0
    if state and per_token:
        # A block must be as large as a state: attention gets longer blocks, the state is padded to them.
        widest = max(per_token.values())
        step = MLA_HYBRID_ALIGNMENT if arch.mla else BLOCK_TOKENS
        block = pad(-(-state // widest), step)
        state = block * widest
    local: Kind = "chunked" if arch.family in _CHUNKED else "sliding"
    pages = [
        (i, _Page(local if arch.layers[i].kind is LayerKind.SLIDING else "full", block, block * size))
        for i, size in per_token.items()
    ]
    return [*pages, *((i, _Page("state", block, state)) for i in recurring)]


def _unified(pages: list[tuple[int, _Page]]) -> list[tuple[int, _Page]]:
    """Pages of one size where kinds differ: smaller ones stand for more tokens, or are padded."""
    if len({page.kind for _i, page in pages}) <= 1:
        return pages  # one group can hold pages of several sizes
    largest = max(page.bytes for _i, page in pages)

    def grown(page: _Page) -> _Page:
        if page.kind == "state" or largest % page.bytes:
            return page._replace(bytes=largest)
        return page._replace(bytes=largest, block_tokens=page.block_tokens * (largest // page.bytes))

    return [(i, grown(page)) for i, page in pages]


def _grouped(pages: list[tuple[int, _Page]]) -> tuple[Group, ...]:
    """Groups of equally many layers, as many of a kind as that takes; each takes every so manieth layer."""
    counts = Counter(page._replace(bytes=0) for _i, page in pages)
    fewest, most = min(counts.values()), max(counts.values())
    size = most if most < fewest * PADDING_RATIO else fewest
    groups = []
    for key, count in counts.items():
        own = [(i, page.bytes) for i, page in pages if page._replace(bytes=0) == key]
        n_groups = -(-count // size)
        for first in range(n_groups):
            part = own[first::n_groups]
            groups.append(
                Group(
                    kind=key.kind,
                    block_tokens=key.block_tokens,
                    layers=tuple(i for i, _size in part),
                    page_bytes=tuple(size for _i, size in part),
                )
            )
    return tuple(groups)
