"""Multi-head latent attention (DeepSeek, GLM, Kimi), and the index by which it may choose its tokens."""

from __future__ import annotations

from advisor.architecture import Indexer, Layer, Mla
from advisor.graphs.attention import cached
from advisor.graphs.builder import Attended, Builder
from advisor.graphs.nodes import F16, F32, I32, Tensor
from advisor.tensors.families import Family


def latent_attention(b: Builder, family: Family, mla: Mla, layer: Layer, x: Tensor) -> Tensor:
    """Attention over one latent a token, with Q taken into the latent's space."""
    source = b.norm(b.mm(x, mla.q_lora_rank)) if mla.q_lora_rank else x
    shared = b.attended(layer)
    if layer.index_dim and b.arch.indexer:
        b.chosen = _choose(b, b.arch.indexer, x, source)
    q, k, latent = _projections(b, mla, x, source)
    b.expand(q, latent, k)
    b.expand(b.store(k, shared.k_index))
    if b.chosen:
        shared = shared._replace(mask=only_chosen(b, shared.mask, b.chosen, F32))
    out = _mix(b, mla, shared, q)
    b.expand(out)
    if family.gate == "value":
        out = b.over(out, b.over(b.mm(x, out.shape[0])))
    return b.mm(out, b.arch.n_embd)


def _projections(b: Builder, mla: Mla, x: Tensor, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Q, K, and the latent that is V too."""
    heads, n = b.arch.n_heads, b.n_tokens
    nope, rope, rank = mla.qk_nope_head_dim, mla.qk_rope_head_dim, mla.kv_lora_rank
    q = b.mm(source, heads * (nope + rope))
    compressed = b.mm(x, rank + rope)
    latent = b.view(b.norm(b.view(compressed, rank, n)), rank, 1, n)
    q_rope, k_rope = b.view(q, rope, heads, n), b.view(compressed, rope, 1, n)
    if b.facts.rope != "none":
        q_rope, k_rope = b.over(q_rope, b.positions), b.over(k_rope, b.positions)
    absorbed = Tensor((rank, n, heads), (b.view(q, nope, n, heads),), pin=b.place.layer)
    q = b.op((rank + rope, heads, n), b.view(absorbed, rank, heads, n), q_rope)
    return q, b.op((rank + rope, 1, n), latent, k_rope), latent


def _mix(b: Builder, mla: Mla, shared: Attended, q: Tensor) -> Tensor:
    """What the queries pick, brought back from the latent's space."""
    heads, rank, rope = b.arch.n_heads, mla.kv_lora_rank, mla.qk_rope_head_dim
    streams, n = shared.n_streams, b.n_tokens // shared.n_streams
    keys = cached(b, rank + rope, shared)
    values = cached(b, rank + rope, shared, unread=rope)  # V is a part of K
    if b.flash_attn:
        picked = b.view(
            b.op((rank, heads, n * streams), q, *keys, *values, shared.mask), rank, n, heads, streams
        )
    else:
        scores = b.op((shared.n_cells, n, heads, streams), *keys, q)
        scores = Tensor(scores.shape, (scores, shared.mask), inplace=True)
        cut = b.op((shared.n_cells, rank, 1, streams), *values, unit=F16)
        picked = b.op((rank, n, heads, streams), cut, scores)
    out = Tensor((mla.v_head_dim, n, heads, streams), (picked,), pin=b.place.layer)
    return b.op((mla.v_head_dim * heads, b.n_tokens), out)


def _choose(b: Builder, index: Indexer, x: Tensor, source: Tensor) -> Tensor:
    """The tokens that every token attends to, by DeepSeek's lightning indexer."""
    dim, n = index.head_dim, b.n_tokens
    shared = b.index
    q = b.over(b.view(b.mm(source, index.n_heads * dim), dim, index.n_heads, n), b.positions)
    key = Tensor((dim, n), (b.mm(x, dim),), pin=b.place.layer)  # a norm with a bias
    k = b.over(b.view(key, dim, 1, n), b.positions)
    assert shared.k_rotation is not None
    q, k = (b.op(t.shape, shared.k_rotation, t) for t in (q, k))
    b.expand(b.store(k, shared.k_index))
    weights = b.over(b.view(b.mm(x, index.n_heads), index.n_heads, n))
    streams = shared.n_streams
    keys = cached(b, dim, shared)
    scores = b.op((shared.n_cells, n // streams, 1, streams), q, *keys, weights, shared.mask)
    chosen = b.op((min(shared.n_cells, index.top_k), n // streams, 1, streams), scores, unit=I32)
    return b.op(chosen.shape, chosen, unit=I32)


def only_chosen(b: Builder, mask: Tensor, chosen: Tensor, unit: int) -> Tensor:
    """The mask, shut but for the chosen tokens, with zeros of `unit` bytes."""
    shut = Tensor(mask.shape, (mask,), unit=mask.unit, inplace=True)
    zeros = Tensor(chosen.shape, unit=unit)
    zeros.is_input, zeros.device = True, b.place.layer
    zeros = Tensor(zeros.shape, (zeros,), unit=unit, inplace=True)
    opened = Tensor(
        shut.shape,
        (zeros, b.view(chosen, *chosen.shape), b.view(shut, *shut.shape)),
        unit=shut.unit,
        root=shut,
        pin=b.place.layer,
    )
    return Tensor(mask.shape, (b.view(opened, *mask.shape), mask), unit=mask.unit, inplace=True)
