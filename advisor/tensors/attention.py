"""The tensors of an attention block."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.architecture import Architecture, Layer, LayerKind, Mla
from advisor.tensors.families import Family
from advisor.tensors.tensor import Tensor, f32, matrix


def attention(arch: Architecture, family: Family, layer: Layer) -> Iterator[Tensor]:
    """Projections, norms over the heads, and sinks of one layer's attention."""
    n, dim = arch.n_embd, layer.head_dim
    q = layer.n_heads * dim * (2 if family.gated_q else 1)
    k, v = layer.n_kv_heads * dim, layer.n_kv_heads * layer.head_dim_v
    if family.attention == "fused":
        projections = {"attn_qkv": q + k + v}
    else:
        projections = {"attn_q": q}
        if layer.owns_cache:
            projections["attn_k"] = k
            if not (arch.v_is_k_full and layer.kind is LayerKind.FULL):
                projections["attn_v"] = v
    bias = arch.qkv_bias if family.qkv_bias is None else family.qkv_bias
    for name, width in projections.items():
        yield matrix(name, n, width)
        if bias:
            yield f32(f"{name}.bias", width)
    yield matrix("attn_output", layer.n_heads * layer.head_dim_v, n)
    if family.out_bias:
        yield f32("attn_output.bias", n)
    if family.qk_norm:
        yield f32("attn_q_norm.weight", dim)
        if layer.owns_cache:
            yield f32("attn_k_norm.weight", dim)
    if family.sinks:
        yield f32("attn_sinks.weight", layer.n_heads)


def latent_attention(arch: Architecture, mla: Mla) -> Iterator[Tensor]:
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
