"""What a forward pass of a PyTorch engine holds at its peak, on one rank."""

from __future__ import annotations

from typing import Final

from advisor.architecture import Architecture, Layer
from advisor.serving.ranks import BF16, kv_heads_of_rank

LOGIT_BYTES: Final = 38
"""A logit while sampling with top-p in PyTorch: BF16 and F32 (6), sorted with 64-bit indices (12), the sort's
own copy of both (12), its probability and their running sum (8). vLLM 0.31.0 profiled 1.21 GiB for 256
sequences of Llama 3.1 8B (2026-10-06), which is 39.6 bytes; releases before 0.20 sampled with less."""
RESIDUAL_ROWS: Final = 3
"""Rows of width n_embd beside a block: the residual, the block's input and its output."""


def activation_bytes(arch: Architecture, n_tokens: int, n_logits: int, tensor_parallel: int) -> int:
    """The peak of one pass over `n_tokens`, of which `n_logits` are sampled from.

    The logits of all ranks are gathered, so that they do not shrink with the ranks.
    """
    block = max(_block_values(arch, layer, tensor_parallel) for layer in arch.layers)
    passing = n_tokens * (RESIDUAL_ROWS * arch.n_embd + block) * BF16
    sampling = n_tokens * arch.n_embd * BF16 + n_logits * arch.n_vocab * LOGIT_BYTES
    return max(passing, 0 if arch.is_encoder else sampling)


def _block_values(arch: Architecture, layer: Layer, tensor_parallel: int) -> int:
    """Values a token that the widest part of a layer holds on one rank."""
    return max(
        _attention_values(arch, layer, tensor_parallel),
        _recurrent_values(arch, layer, tensor_parallel),
        3 * layer.n_ff // tensor_parallel,  # gate, up and their product
        _expert_values(arch, layer, tensor_parallel),
    )


def _attention_values(arch: Architecture, layer: Layer, tensor_parallel: int) -> int:
    """Q, K, V and the heads' output."""
    heads = -(-layer.n_heads // tensor_parallel)
    if arch.mla:
        width = arch.mla.qk_nope_head_dim + arch.mla.qk_rope_head_dim
        return heads * (2 * width + 2 * arch.mla.v_head_dim)
    if not layer.n_kv_heads:
        return 0
    kv = kv_heads_of_rank(layer.n_kv_heads, tensor_parallel)
    return heads * (layer.head_dim + layer.head_dim_v) + kv * (layer.head_dim + layer.head_dim_v)


def _recurrent_values(arch: Architecture, layer: Layer, tensor_parallel: int) -> int:
    """The projections' output, the convolved copy of it and the block's output."""
    r = arch.recurrent
    if r is None or not layer.kind.has_state:
        return 0
    if r.kind == "short_conv":
        return 4 * arch.n_embd // tensor_parallel
    return (2 * (r.d_inner + 2 * r.n_groups * r.d_state) + 2 * r.d_inner) // tensor_parallel


def _expert_values(arch: Architecture, layer: Layer, tensor_parallel: int) -> int:
    """The workspaces of fused experts: gate and up or the output, whichever is wider, and the product."""
    moe = arch.moe
    if moe is None or not layer.has_experts:
        return 0
    width = -(-moe.n_ff // tensor_parallel)
    return moe.n_experts_used * (max(2 * width, arch.n_embd) + width)
