"""What llama.cpp keeps between batches: caches of keys and values, recurrent states, outputs."""

from __future__ import annotations

from typing import Final

from advisor.architecture import Architecture, Layer, LayerKind
from advisor.settings import CELL_PADDING, Settings
from advisor.units import pad
from advisor.usecase import KvType

KV_BLOCKS: Final[dict[KvType, tuple[int, int]]] = {
    "f16": (1, 2),
    "q8_0": (32, 34),
    "q4_0": (32, 18),
    "fp8": (1, 1),
}
"""(values, bytes) of a block of the cache."""

F32: Final = 4
"""Activations and recurrent states are always F32."""


def kv_row_bytes(width: int, kv_type: KvType) -> int:
    """Bytes of one token's K (or V) of `width` values in one layer."""
    values, size = KV_BLOCKS[kv_type]
    return -(-width // values) * size


def kv_token_bytes(arch: Architecture, layer: Layer, kv_type: KvType) -> int:
    """Bytes of one token's keys and values in the cache that a layer reads; 0 without attention."""
    if not arch.has_cache or not layer.kind.has_attention:
        return 0
    if arch.mla:  # the latent alone; V is rebuilt from it
        return kv_row_bytes(arch.mla.kv_lora_rank + arch.mla.qk_rope_head_dim, kv_type)
    if arch.compressed:  # one latent is K and V
        return kv_row_bytes(layer.head_dim, kv_type)
    widths = (layer.n_kv_heads * layer.head_dim, layer.n_kv_heads * layer.head_dim_v)
    return sum(kv_row_bytes(width, kv_type) for width in widths)


def index_token_bytes(arch: Architecture, layer: Layer, kv_type: KvType) -> int:
    """Bytes of one entry of a layer's index; 0 where it has none."""
    if not layer.index_dim:
        return 0
    # Beside plain keys and values, llama.cpp gives the index room for one head's values that nothing uses.
    unused = 0 if arch.mla or arch.compressed else layer.head_dim_v
    return sum(kv_row_bytes(width, kv_type) for width in (layer.index_dim, unused) if width)


def kv_cache_bytes(arch: Architecture, settings: Settings) -> tuple[int, ...]:
    """The cache of every layer, all sequences together."""
    if arch.compressed:  # llama.cpp gives each sequence a cache of its own, as long as the unified one
        settings = settings.model_copy(update={"kv_unified": False, "n_ctx": settings.n_cells})
    full, sliding = settings.n_cells, settings.n_cells_swa(arch.n_swa)
    return tuple(
        settings.n_streams
        * (
            kv_token_bytes(arch, layer, settings.kv_type)
            * (sliding if layer.kind is LayerKind.SLIDING else full)
            + _beside(arch, layer, settings)
        )
        if layer.owns_cache
        else 0
        for layer in arch.layers
    )


def _beside(arch: Architecture, layer: Layer, settings: Settings) -> int:
    """One stream's bytes of a layer's index and of its summaries of older tokens."""
    index = index_token_bytes(arch, layer, settings.kv_type)
    if not layer.compress_ratio:
        return index * settings.n_cells
    cells = pad(-(-settings.n_cells // layer.compress_ratio), CELL_PADDING)
    return cells * (kv_row_bytes(layer.head_dim, settings.kv_type) + index)


def recurrent_bytes(arch: Architecture, settings: Settings) -> tuple[int, ...]:
    """The recurrent state of every layer, all sequences together; neither context nor KV type matters."""
    r = arch.recurrent
    if r is None:
        return tuple(settings.n_seqs * _compressor_bytes(layer) for layer in arch.layers)
    if r.kind == "short_conv":
        values = arch.n_embd * (r.d_conv - 1)
    else:
        values = (r.d_conv - 1) * (r.d_inner + 2 * r.n_groups * r.d_state) + r.d_state * r.d_inner
    state = F32 * settings.n_seqs * values
    return tuple(state if layer.kind.has_state else 0 for layer in arch.layers)


def _compressor_bytes(layer: Layer) -> int:
    """One sequence's tokens that a layer, and its index, have not summarized yet: entries and their scores.

    An indexed layer's summaries overlap, so that it keeps two spans, twice as wide.
    """
    overlap = 2 if layer.index_dim else 1
    width = overlap * (layer.head_dim + layer.index_dim)
    return 2 * F32 * overlap * layer.compress_ratio * width


def output_bytes(arch: Architecture, settings: Settings) -> int:
    """The buffer that results are copied to, always in host memory."""
    width = arch.n_vocab + (arch.n_embd if settings.embeddings else 0)
    return F32 * settings.n_seqs * width
