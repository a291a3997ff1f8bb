"""The tensors of an attention block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from advisor.architecture import Architecture, Layer, LayerKind, Mla
from advisor.tensors.families import Family
from advisor.tensors.tensor import Tensor, f32, matrix


def attention(arch: Architecture, family: Family, layer: Layer) -> Iterator[Tensor]:
    """Projections, norms over the heads, and sinks of one layer's attention."""
    n, dim = arch.n_embd, layer.head_dim
    q = layer.n_heads * dim * (2 if family.gated_q else 1)
    has_kv = layer.owns_cache or family.shared_cache_has_kv
    k, v = layer.n_kv_heads * dim, layer.n_kv_heads * layer.head_dim_v
    if family.attention == "fused":
        projections = {"attn_qkv": q + k + v}
    else:
        projections = {"attn_q": q}
        if has_kv:
            projections["attn_k"] = k
            if not (arch.v_is_k_full and layer.kind is LayerKind.FULL):
                projections["attn_v"] = v
    bias = arch.qkv_bias if family.qkv_bias is None else family.qkv_bias
    for name, width in projections.items():
        yield matrix(name, n, width)
        if bias:
            yield f32(f"{name}.bias", width)
    yield matrix("attn_output", layer.n_heads * layer.head_dim_v, n)
    if family.gate == "head":
        yield matrix("attn_gate", n, layer.n_heads)
    if family.out_bias:
        yield f32("attn_output.bias", n)
    if family.qk_norm and (arch.qk_norm or not family.qk_norm_by_model):
        yield from _qk_norms(_QK_NORM_SHAPES[family.qk_norm], layer, has_kv=has_kv)
    if family.sinks or (family.sliding_sinks and layer.kind is LayerKind.SLIDING):
        yield f32("attn_sinks.weight", layer.n_heads)


_ShapeOf = Callable[[int, int], tuple[int, ...]]
"""From a head's width and the number of heads to the shape of their norm."""

_QK_NORM_SHAPES: Final[Mapping[str, _ShapeOf]] = {
    "head": lambda dim, n_heads: (dim,),
    "heads": lambda dim, n_heads: (dim, n_heads),
    "all": lambda dim, n_heads: (dim * n_heads,),
}


def _qk_norms(shape_of: _ShapeOf, layer: Layer, *, has_kv: bool) -> Iterator[Tensor]:
    yield f32("attn_q_norm.weight", *shape_of(layer.head_dim, layer.n_heads))
    if has_kv:
        yield f32("attn_k_norm.weight", *shape_of(layer.head_dim, layer.n_kv_heads))


def latent_attention(arch: Architecture, family: Family, mla: Mla) -> Iterator[Tensor]:
    """Multi-head latent attention: Q and KV through their compressions."""
    n, heads = arch.n_embd, arch.n_heads
    qk = heads * (mla.qk_nope_head_dim + mla.qk_rope_head_dim)
    if mla.q_lora_rank:
        yield matrix("attn_q_a", n, mla.q_lora_rank)
        yield f32("attn_q_a_norm.weight", mla.q_lora_rank)
        yield matrix("attn_q_b", mla.q_lora_rank, qk)
    else:
        yield matrix("attn_q", n, qk)
    yield matrix("attn_kv_a_mqa", n, mla.kv_lora_rank + mla.qk_rope_head_dim)
    yield f32("attn_kv_a_norm.weight", mla.kv_lora_rank)
    yield matrix("attn_k_b", mla.qk_nope_head_dim, mla.kv_lora_rank, heads)
    yield matrix("attn_v_b", mla.kv_lora_rank, mla.v_head_dim, heads)
    yield matrix("attn_output", heads * mla.v_head_dim, n)
    if family.gate == "value":
        yield matrix("attn_gate", n, heads * mla.v_head_dim)
