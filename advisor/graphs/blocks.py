"""MiniMax M3: attention over the blocks of the cache that an index chooses for every group of heads.

After llama.cpp's src/models/minimax-m3.cpp as of llama-cpp-python 0.3.36 (2026-10-01).
"""

from __future__ import annotations

from typing import Final

from advisor.architecture import Indexer, Layer
from advisor.graphs.attention import cached, projections, rotate
from advisor.graphs.builder import BLOCK, PLANNED_POSITIONS, Builder
from advisor.graphs.nodes import F16, I32, Shape, Tensor
from advisor.settings import Settings
from advisor.tensors.families import Family

N_BLOCKS: Final = PLANNED_POSITIONS // BLOCK


def attends_blocks(settings: Settings) -> bool:
    """Whether llama.cpp uses the index; without flash attention, or in a shared cache, it does not."""
    return settings.flash_attn and (settings.n_seqs == 1 or not settings.kv_unified)


def block_attention(b: Builder, family: Family, layer: Layer, index: Indexer, x: Tensor) -> Tensor:
    """One layer's attention; every sequence has a part of the graph to itself."""
    q, k, v, _ = projections(b, family, layer, x)
    assert k is not None
    assert v is not None
    shared, dim, n = b.full, index.head_dim, b.n_tokens
    key = b.over(b.norm(b.view(b.mm(x, dim), dim, 1, n)), b.positions)
    b.expand(b.store(key, b.blocks.k_index))
    q, k, v = (
        rotate(b, q, shared.k_rotation),
        rotate(b, k, shared.k_rotation),
        rotate(b, v, shared.v_rotation),
    )
    b.expand(q, k, v, b.store(k, shared.k_index), b.store(v, shared.v_index))
    asked = b.over(b.norm(b.view(b.mm(x, index.n_heads * dim), dim, index.n_heads, n)), b.positions)
    out: Tensor | None = None
    for i in range(shared.n_streams):
        part = _one_stream(b, layer, index, q, asked)
        out = part if out is None else b.op((part.shape[0], (i + 1) * part.shape[1]), out, part)
    assert out is not None
    return b.mm(rotate(b, out, shared.v_rotation), b.arch.n_embd)


def _one_stream(b: Builder, layer: Layer, index: Indexer, q: Tensor, asked: Tensor) -> Tensor:
    shared, groups = b.full, index.n_heads
    n = b.n_tokens // shared.n_streams
    keys, values = (cached(b, layer.n_kv_heads * dim, shared) for dim in (layer.head_dim, layer.head_dim_v))
    heads, dim = layer.n_heads // groups, layer.head_dim_v
    bias = b.view(b.blocks.bias, N_BLOCKS, 1, n)
    mask = _mask(b, groups, bias, _choose(b, index, bias, asked))
    picked = b.op((dim, heads, n, groups), b.view(q, layer.head_dim, n, heads, groups), *keys, *values, mask)
    turned = b.op((dim, heads, groups, n), b.view(picked, dim, heads, groups, n))
    return b.view(turned, dim * layer.n_heads, n)


def _choose(b: Builder, index: Indexer, bias: Tensor, asked: Tensor) -> Tensor:
    """The blocks with the highest score, for every group and token."""
    groups, dim, n = index.n_heads, index.head_dim, bias.shape[-1]
    found = b.op((dim, PLANNED_POSITIONS), *cached(b, dim, b.full), b.view(b.blocks.cells, PLANNED_POSITIONS))
    scores = b.op((PLANNED_POSITIONS, groups * n), found, b.view(asked, dim, groups * n))
    shown = b.view(b.blocks.position_mask, PLANNED_POSITIONS, 1, n)
    scores = _written(b, (PLANNED_POSITIONS, groups, n), scores, b.view(scores, *scores.shape), shown)
    best = b.op((N_BLOCKS, groups, n), b.view(scores, *scores.shape))
    best = b.over(best, bias)
    return b.op((min(index.top_k, N_BLOCKS), groups, n), best, unit=I32)


def _mask(b: Builder, groups: int, bias: Tensor, chosen: Tensor) -> Tensor:
    """The mask of attention, shut but for the chosen blocks."""
    n_cells, n = b.full.n_cells, bias.shape[-1]
    zeros = b.over(b.op(chosen.shape, chosen))
    shut = b.op((N_BLOCKS, 1, n), b.over(bias), unit=F16)
    shut = b.op((N_BLOCKS, groups, n), shut, unit=F16)
    sources = (b.view(zeros, *zeros.shape), b.view(chosen, *chosen.shape), b.view(shut, *shut.shape))
    opened = _written(b, shut.shape, shut, *sources)
    by_group = b.op((N_BLOCKS, n, groups), b.view(opened, N_BLOCKS, n, groups), unit=F16)
    turned = b.op((n * groups, N_BLOCKS), b.view(by_group, n * groups, N_BLOCKS), unit=F16)
    spread = b.op((n * groups, n_cells), turned, b.view(b.blocks.block_of_cell, n_cells))
    back = b.op((n_cells, n * groups), b.view(spread, n_cells, n * groups))
    full = b.view(b.blocks.mask, n_cells, n)
    both = _written(b, (n_cells, n, groups), back, b.view(back, n_cells, n, groups), full)
    return b.op((n_cells, n, 1, groups), b.view(both, n_cells, n, groups), unit=F16)


def _written(b: Builder, shape: Shape, into: Tensor, *sources: Tensor) -> Tensor:
    """An operation that writes into a tensor that is there."""
    return Tensor(shape, sources, unit=into.unit, root=into, pin=b.place.layer)
