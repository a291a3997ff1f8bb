"""Attention: llama.cpp's build_qkv, build_attn and build_attn_mha."""

from __future__ import annotations

from typing import NamedTuple

from advisor.architecture import Layer, LayerKind
from advisor.caches import kv_row_bytes
from advisor.graphs.builder import Attended, Builder
from advisor.graphs.nodes import F16, Tensor
from advisor.tensors.families import Family


def attention(b: Builder, family: Family, layer: Layer, x: Tensor) -> Tensor:
    """One layer's attention over its cache, or in an encoder over the batch."""
    q, k, v, gate = projections(b, family, layer, x)
    shared = b.attended(layer)
    q = rotate(b, q, shared.k_rotation)
    k = rotate(b, k, shared.k_rotation) if k else None
    v = rotate(b, v, shared.v_rotation) if v else None
    queries_first = (q, k, v) if b.arch.is_encoder or _has_two_caches(b) else (q, v, k)
    b.expand(*(tensor for tensor in queries_first if tensor))
    if k and v and not b.arch.is_encoder:
        b.expand(b.store(k, shared.k_index))
        if not b.flash_attn and family.attention == "fused":
            v = b.op(v.shape, v)  # V is stored in columns, which a part of QKV does not have
        b.expand(b.store(v, shared.v_index))
        k = v = None
    mixed = rotate(b, _mix(b, layer, shared, q, k, v), shared.v_rotation)
    mixed = b.view(mixed, layer.n_heads * layer.head_dim_v, b.n_tokens)
    if gate:
        mixed = b.over(mixed, b.over(gate))
    if family.gate == "head":
        whole = b.view(mixed, layer.head_dim_v, layer.n_heads, b.n_tokens)
        mixed = b.over(whole, b.view(b.over(b.mm(x, layer.n_heads)), 1, layer.n_heads, b.n_tokens))
        mixed = b.view(mixed, layer.n_heads * layer.head_dim_v, b.n_tokens)
    return b.mm(mixed, b.arch.n_embd)


def _has_two_caches(b: Builder) -> bool:
    return LayerKind.SLIDING in b.arch.layer_pattern


class _Heads(NamedTuple):
    """Q, K and V as attention takes them; K and V are None where an earlier layer's cache is read."""

    q: Tensor
    k: Tensor | None
    v: Tensor | None
    gate: Tensor | None = None
    """Of Q, where the family has one."""


def projections(b: Builder, family: Family, layer: Layer, x: Tensor) -> _Heads:
    """The heads, normed and rotated."""
    heads = _fused(b, layer, x) if family.attention == "fused" else _split(b, family, layer, x)
    q, k, v, gate = heads
    if _has_qk_norm(b, family) and family.qk_norm != "all":
        q = b.norm(q)
        k = b.norm(k) if k else None
    if _has_rope(b, layer):
        q = b.over(q, b.positions)
        k = b.over(k, b.positions) if k else None
    elif b.facts.tempered:
        q = b.over(q, b.temperature)
    if v and b.facts.normed_v:
        v = b.over(v)
    return _Heads(q, k, v, gate)


def _fused(b: Builder, layer: Layer, x: Tensor) -> _Heads:
    """Q, K and V by one matrix."""
    dim, dim_v, n = layer.head_dim, layer.head_dim_v, b.n_tokens
    heads, kv_heads = layer.n_heads, layer.n_kv_heads
    fused = b.mm(x, heads * dim + kv_heads * (dim + dim_v))
    return _Heads(
        b.view(fused, dim, heads, n), b.view(fused, dim, kv_heads, n), b.view(fused, dim_v, kv_heads, n)
    )


def _split(b: Builder, family: Family, layer: Layer, x: Tensor) -> _Heads:
    """Q, K and V by a matrix each."""
    dim, heads, kv_heads, n = layer.head_dim, layer.n_heads, layer.n_kv_heads, b.n_tokens
    norms_all = _has_qk_norm(b, family) and family.qk_norm == "all"
    gate = k = v = None
    whole = b.mm(x, heads * dim * (2 if family.gated_q else 1))
    if family.gated_q:
        gate = b.op((heads * dim, n), b.view(whole, dim, heads, n))
    q = b.view(b.norm(whole) if norms_all else whole, dim, heads, n)
    if layer.owns_cache:
        key = b.mm(x, kv_heads * dim)
        k = b.view(b.norm(key) if norms_all else key, dim, kv_heads, n)
        is_key = b.arch.v_is_k_full and layer.kind is LayerKind.FULL
        v = b.view(key if is_key else b.mm(x, kv_heads * layer.head_dim_v), layer.head_dim_v, kv_heads, n)
    return _Heads(q, k, v, gate)


def _has_qk_norm(b: Builder, family: Family) -> bool:
    return family.qk_norm is not None and (b.arch.qk_norm or not family.qk_norm_by_model)


def _has_rope(b: Builder, layer: Layer) -> bool:
    rope = b.facts.rope
    if rope == "sliding":
        return layer.kind is LayerKind.SLIDING or not _has_two_caches(b)
    return rope != "none"


def rotate(b: Builder, x: Tensor, rotation: Tensor | None) -> Tensor:
    """Times llama.cpp's Hadamard matrix, which spreads outliers before a cache is quantized."""
    if rotation is None:
        return x
    return b.view(b.op(x.shape, rotation, x), *x.shape)


def _mix(b: Builder, layer: Layer, shared: Attended, q: Tensor, k: Tensor | None, v: Tensor | None) -> Tensor:
    """Scores, their softmax and the values they pick, expanded: build_attn_mha."""
    heads, dim_v, n = layer.n_heads, layer.head_dim_v, b.n_tokens
    keys, values = (cached(b, layer.n_kv_heads * dim, shared) for dim in (layer.head_dim, dim_v))
    if k and v:  # no cache
        keys, values = (k,), (v,)
    if b.flash_attn:
        if k and v:  # both are needed in F16
            keys, values = (b.op(k.shape, *keys, unit=F16),), (b.op(v.shape, *values, unit=F16),)
        out = b.op((dim_v, heads, n), q, *keys, *values, shared.mask)
    else:
        scores = b.op((shared.n_cells, n // shared.n_streams, heads, shared.n_streams), *keys, q)
        scores = b.over(scores, shared.mask)
        if v:
            values = (b.op(v.shape, *values),)
        picked = b.op((dim_v, n // shared.n_streams, heads, shared.n_streams), *values, scores)
        out = b.op((dim_v * heads, n), picked)
    b.expand(out)
    return out


def cached(b: Builder, width: int, shared: Attended, unread: int = 0) -> tuple[Tensor, ...]:
    """The whole cache of K or of V, without the end of its last row that is not read."""
    kv_type = b.settings.kv_type
    n_rows = shared.n_cells * shared.n_streams
    return b.stored(kv_row_bytes(width, kv_type) * n_rows - kv_row_bytes(unread, kv_type))
