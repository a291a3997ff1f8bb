"""A model's weights as tensor and pipeline parallel engines divide them.

vLLM 0.33.0 (2026-11-02) and SGLang 0.5.23 (2026-10-30) share the scheme: projections are cut by heads or by
columns and rows, the vocabulary by rows, experts by their width; norms, routers and the down-projections of
latent attention are on every rank, and so are KV heads where there are fewer of them than ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from math import prod
from typing import Final, NamedTuple

from advisor.architecture import Architecture, Layer, LayerKind
from advisor.tensors import Tensor, family_of, tensors
from advisor.units import pad
from advisor.weights import Weights

VOCABULARY_PADDING: Final = 64
"""Rows of the vocabulary are padded to this before they are divided."""
BF16: Final = 2
"""Bytes of what stays unquantized, and of activations."""

_KEPT_PLAIN: Final = ("norm", "ffn_gate_inp", "exp_probs_b", "attn_sinks", "scale")
"""On every rank and never quantized."""
_REPLICATED: Final = (
    *("attn_q_a", "attn_kv_a_mqa", "attn_kv.", "attn_compressor", "indexer", "hc_"),
    *("ssm_f_a", "ssm_g_a", "ffn_latent", "ffn_routed"),
)
"""On every rank, quantized as the layer is."""


class _Cut(NamedTuple):
    """How one layer, its routed experts aside, is divided."""

    plain_bytes: int
    """On every rank, at 16 bits."""
    fraction: float
    """Of the layer's other bytes, what one rank holds."""


def stages(n_layers: int, pipeline_parallel: int) -> tuple[range, ...]:
    """The layers of every stage: as even as can be, the last and then the first stage kept short.

    Those two also hold the vocabulary (vllm/distributed/utils.py).
    """
    counts = [n_layers // pipeline_parallel] * pipeline_parallel
    for i in range(2, n_layers % pipeline_parallel + 2):
        counts[-i] += 1
    return as_ranges(counts)


def as_ranges(counts: Sequence[int]) -> tuple[range, ...]:
    """The layers of consecutive stages of so many layers."""
    return tuple(range(start, stop) for start, stop in pairwise(accumulate(counts, initial=0)))


def kv_heads_of_rank(n_kv_heads: int, tensor_parallel: int) -> int:
    """KV heads that a rank holds: at least one, which several ranks then have copies of."""
    return max(1, n_kv_heads // tensor_parallel)


def rank_weights(arch: Architecture, weights: Weights, tensor_parallel: int, stage: range) -> int:
    """Bytes that every rank of a stage loads, the table of rotary embeddings included."""
    cuts = _cuts(arch, tensor_parallel)
    size = sum(_layer_bytes(weights, cuts[i], tensor_parallel, i) for i in stage)
    vocabulary = pad(arch.n_vocab, VOCABULARY_PADDING) / arch.n_vocab / tensor_parallel
    has_input, has_output = stage.start == 0, stage.stop == arch.n_layers
    if has_input:
        size += int(weights.input_bytes * vocabulary)
    if has_output:
        size += int(weights.output_bytes * vocabulary)
        size += 0 if has_input else int(weights.tied_bytes * vocabulary)
    return size + rotary_bytes(arch)


def rotary_bytes(arch: Architecture) -> int:
    """The table of sines and cosines of every position, once a kind of layer."""
    if arch.mla:
        return arch.n_ctx_train * arch.mla.qk_rope_head_dim * BF16
    rotated = {
        (layer.kind is LayerKind.SLIDING, arch.n_rot or layer.head_dim)
        for layer in arch.layers
        if layer.kind.has_attention and not arch.is_bert
    }
    return sum(arch.n_ctx_train * width * BF16 for _, width in rotated)


def _layer_bytes(weights: Weights, cut: _Cut, tensor_parallel: int, i: int) -> int:
    divided = max(0, weights.layers[i] - cut.plain_bytes)
    own = min(weights.layers[i], cut.plain_bytes) + int(divided * cut.fraction)
    return own + -(-weights.expert_bytes(i) // tensor_parallel)


@lru_cache(maxsize=64)
def _cuts(arch: Architecture, tensor_parallel: int) -> tuple[_Cut, ...]:
    plain, whole, held = ([0.0] * arch.n_layers for _ in range(3))
    fused = family_of(arch).attention == "fused"
    for row in tensors(arch):
        if not row.name.startswith("blk.") or "_exps." in row.name:
            continue
        _, number, name = row.name.split(".", 2)
        i, n = int(number), prod(row.shape)
        if any(part in name for part in _KEPT_PLAIN):
            plain[i] += n * BF16
            continue
        whole[i] += n
        held[i] += n * _share(row._replace(name=name), arch.layers[i], tensor_parallel, fused=fused)
    return tuple(_Cut(int(plain[i]), held[i] / whole[i] if whole[i] else 1.0) for i in range(arch.n_layers))


def _share(tensor: Tensor, layer: Layer, tensor_parallel: int, *, fused: bool) -> float:
    """The part of a tensor that one rank holds."""
    if tensor.name.startswith(_REPLICATED):
        return 1.0
    by_heads = 1 / tensor_parallel
    if not layer.n_kv_heads:
        return by_heads
    by_kv_heads = kv_heads_of_rank(layer.n_kv_heads, tensor_parallel) / layer.n_kv_heads
    if tensor.name.startswith(("attn_k.", "attn_v.")):
        return by_kv_heads
    if fused and tensor.name.startswith("attn_qkv") and layer.kind is not LayerKind.RECURRENT:
        heads, kv = layer.n_heads, 2 * layer.n_kv_heads
        return (heads * by_heads + kv * by_kv_heads) / (heads + kv)
    return by_heads
