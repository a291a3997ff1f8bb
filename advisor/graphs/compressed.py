"""DeepSeek V4: hyper-connections, and attention over a window and summaries of what came before it.

After llama.cpp's src/models/deepseek4.cpp and its plan for the worst case (llama-kv-cache-dsv4.cpp) as of
llama-cpp-python 0.3.36 (2026-10-01).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from advisor.architecture import CompressedAttention, Layer
from advisor.caches import kv_row_bytes
from advisor.graphs.attention import cached, rotate
from advisor.graphs.builder import Builder, Summaries
from advisor.graphs.feed_forward import layer_feed_forward
from advisor.graphs.latent import only_chosen
from advisor.graphs.layout import Place, Placed
from advisor.graphs.nodes import F16, F32, I32, Tensor
from advisor.tensors.families import Family


def compressed_layers(
    b: Builder,
    family: Family,
    attention: CompressedAttention,
    layers: Sequence[Placed],
    x: Tensor,
    output: int,
) -> Tensor:
    """All layers over the copies of the residual stream, and the rows that have an output."""
    copies, width, n = b.arch.n_hyper_connections, b.arch.n_embd, b.n_tokens
    b.expand(b.sliding.mask)
    x = b.op((width, copies, n), x)
    for layer, b.place in layers:
        into = _enter(b, x)
        cur = _attention(b, attention, layer, b.norm(into.mixed))
        x = b.op(x.shape, cur, x, into.post, into.comb)
        into = _enter(b, x)
        b.expand(x, into.post, into.comb)
        cur = layer_feed_forward(b, family, layer, b.norm(into.mixed))
        x = b.op(x.shape, cur, x, into.post, into.comb)
    b.place = Place.on(output)
    x = b.view(b.rows(b.view(x, copies * width, n), b.output_ids), width, copies, b.n_outputs)
    shares = b.over(b.weighted(b.mm(b.over(b.view(x, copies * width, b.n_outputs)), copies)))
    parts = [b.over(b.view(x, width, b.n_outputs), b.view(shares, 1, b.n_outputs)) for _ in range(copies)]
    total = parts[0]
    for part in parts[1:]:
        total = b.over(total, part)
    return total


class _Entry(NamedTuple):
    """What a block takes from the copies, and how its result is given back to them."""

    mixed: Tensor
    post: Tensor
    comb: Tensor


def _enter(b: Builder, x: Tensor) -> _Entry:
    width, copies, n = x.shape
    mixes = b.mm(b.over(b.view(x, width * copies, n)), (2 + copies) * copies)
    pre, post = (b.over(b.weighted(b.view(mixes, copies, n))) for _ in range(2))
    comb = Tensor((copies, copies, n), (mixes,), pin=b.place.layer)
    return _Entry(b.op((width, n), x, pre), post, comb)


def _attention(b: Builder, facts: CompressedAttention, layer: Layer, x: Tensor) -> Tensor:
    dim, heads, n = layer.head_dim, layer.n_heads, b.n_tokens
    source = b.norm(b.mm(x, facts.q_lora_rank))
    q = b.over(b.over(b.view(b.mm(source, heads * dim), dim, heads, n)), b.positions)
    kv = b.over(b.view(b.norm(b.mm(x, dim)), dim, 1, n), b.positions)
    summaries = b.summaries(layer) if layer.compress_ratio else None
    if summaries:
        _summarize(b, summaries, dim, x)
    if layer.index_dim:
        _summarize(b, b.index_summaries, layer.index_dim, x)
    raw = b.sliding
    q, kv = rotate(b, q, raw.k_rotation), rotate(b, kv, raw.k_rotation)
    chosen = _choose(b, layer, source, x) if layer.index_dim else None
    b.expand(q, kv, b.store(kv, raw.k_index))
    out = rotate(b, _mix(b, layer, q, summaries, chosen), raw.k_rotation)
    out = b.over(b.view(out, dim, heads, n), b.positions)
    low = Tensor(
        (facts.o_lora_rank, n, facts.o_groups),
        (b.view(out, dim * heads // facts.o_groups, n, facts.o_groups),),
        pin=b.place.layer,
    )
    rank = facts.o_lora_rank * facts.o_groups
    return b.mm(b.op((rank, n), b.view(low, rank, n)), b.arch.n_embd)


def _mix(b: Builder, layer: Layer, q: Tensor, summaries: Summaries | None, chosen: Tensor | None) -> Tensor:
    """What the queries pick from the window and from the summaries."""
    raw, dim, heads = b.sliding, layer.head_dim, layer.n_heads
    streams, n = raw.n_streams, b.n_tokens // raw.n_streams
    keys, mask, n_cells = cached(b, dim, raw), raw.mask, raw.n_cells
    if summaries:
        n_cells += summaries.n_cells
        size = kv_row_bytes(dim, b.settings.kv_type) * n_cells * streams
        keys = (b.op((size,), *keys, unit=1),)
        shown = summaries.mask if chosen is None else only_chosen(b, summaries.mask, chosen, mask.unit)
        mask = b.op((n_cells, n, 1, streams), mask, shown, unit=mask.unit)
    if b.flash_attn:
        return b.op((dim, heads, n * streams), q, *keys, mask)
    scores = b.over(b.op((n_cells, n, heads, streams), *keys, q), mask)
    values = b.op((n_cells, dim, 1, streams), *keys, unit=F16)
    picked = b.op((dim, n, heads, streams), values, scores)
    return b.op((dim * heads, n * streams), picked)


def _summarize(b: Builder, s: Summaries, dim: int, x: Tensor) -> None:
    """New summaries into their cache, and what is not summarized yet into the state."""
    width = dim * s.overlap
    kv = b.mm(x, width)
    score = b.over(b.mm(x, width), Tensor((width, b.n_tokens), (s.positions,), pin=b.place.layer))
    values, scores = (_blocks(b, s, dim, t) for t in (kv, score))
    total = b.op((1, dim, s.n_blocks), b.over(values, b.over(scores)))
    entry = b.over(b.norm(b.op((dim, 1, s.n_blocks), b.view(total, dim, 1, s.n_blocks))), s.write_positions)
    b.expand(b.store(rotate(b, entry, s.rotation), s.write_ids))
    for t in (kv, score):
        b.expand(b.store(b.rows(t, s.persisted), s.persisted_to))


def _blocks(b: Builder, s: Summaries, dim: int, new: Tensor) -> Tensor:
    """The tokens of every summary side by side; with an overlap, those of the one before it too."""
    width, n_rows = new.shape[0], s.n_state_rows + b.n_tokens
    n_read = s.ratio * s.n_blocks
    rows = b.op((width, n_rows), *b.stored(F32 * width * s.n_state_rows), new)
    shape = (s.overlap * s.ratio, dim, s.n_blocks)
    if s.overlap == 1:
        return b.op(shape, b.view(b.rows(rows, s.read_ids), *shape))
    rows = b.op((width, n_rows + 1), rows, b.over(b.view(rows, width)))
    rows = b.rows(rows, s.read_ids)
    both = (b.op((dim, n_read), b.view(rows, dim, n_read)) for _ in range(2))
    joined = b.op((dim, s.overlap * s.ratio, s.n_blocks), *(b.view(t, dim, n_read) for t in both))
    return b.op(shape, b.view(joined, *shape))


def _choose(b: Builder, layer: Layer, source: Tensor, x: Tensor) -> Tensor:
    """The summaries that every token attends to."""
    index, s = b.arch.indexer, b.index_summaries
    assert index is not None
    dim, heads, streams = layer.index_dim, index.n_heads, b.sliding.n_streams
    n = b.n_tokens // streams
    q = b.over(b.view(b.mm(source, heads * dim), dim, heads, b.n_tokens), b.positions)
    q = rotate(b, q, s.rotation)
    weights = b.over(b.mm(x, heads))
    keys = b.stored(kv_row_bytes(dim, b.settings.kv_type) * s.n_cells * streams)
    scores = b.op((s.n_cells, n, 1, streams), q, *keys, b.view(weights, heads, b.n_tokens), s.mask)
    chosen = b.op((min(s.n_cells, index.top_k), n, 1, streams), scores, unit=I32)
    return b.op(chosen.shape, chosen, unit=I32)
