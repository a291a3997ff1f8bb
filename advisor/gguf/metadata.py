"""From an `Architecture` to the GGUF keys that llama.cpp needs to load it: `translation` the other way.

Only what decides memory is true to the model; a scale, an epsilon or a gating function that changes no
buffer gets any value that llama.cpp accepts.
Source: the loaders in src/models/ of llama.cpp as of llama-cpp-python 0.3.36 (2026-10-01).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from advisor.architecture import Architecture, LayerKind
from advisor.gguf.writer import KeyValue

Keys = dict[str, KeyValue]

_FULL_NAMES: Final = ("general.", "tokenizer.", "xielu.")
"""Keys that do not stand under the architecture's name."""
NO_TOKENIZER: Final[Mapping[str, KeyValue]] = {"tokenizer.ggml.model": "none"}
"""llama.cpp loads such a file by its vocabulary's size."""
_GATED: Final = frozenset({"bailingmoe2", "dots1", "exaone-moe", "glm4moe", "minimax-m2", "minimax-m3"})
"""Families whose router llama.cpp insists on, or takes for another."""
_SQRT_SOFTPLUS: Final = 4
"""LLAMA_EXPERT_GATING_FUNC_TYPE_SQRT_SOFTPLUS."""
_SIGMOID: Final = 2
"""LLAMA_EXPERT_GATING_FUNC_TYPE_SIGMOID."""
_MEAN: Final = 1
"""LLAMA_POOLING_TYPE_MEAN."""


def metadata(arch: Architecture) -> Keys:
    """The keys under their full names."""
    keys = _common_keys(arch)
    for part in _PARTS:
        keys |= part(arch)
    keys |= _family_keys(arch)
    return {
        key if key.startswith(_FULL_NAMES) else f"{arch.family}.{key}": value for key, value in keys.items()
    }


def _common_keys(arch: Architecture) -> Keys:
    head_dim = arch.head_dim_full or arch.head_dim
    return {
        "general.architecture": arch.family,
        "general.file_type": 1,
        "general.quantization_version": 2,
        **NO_TOKENIZER,
        "vocab_size": arch.n_vocab,
        "context_length": arch.n_ctx_train,
        "embedding_length": arch.n_embd,
        "block_count": arch.n_layers,
        "feed_forward_length": arch.n_ff or (arch.moe.n_ff if arch.moe else 0),
        "attention.head_count": arch.n_heads,
        "attention.head_count_kv": arch.n_kv_heads,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "attention.layer_norm_epsilon": 1e-6,
        "attention.key_length": head_dim,
        "attention.value_length": arch.head_dim_v or head_dim,
        "rope.dimension_count": arch.n_rot or head_dim,
    }


def _encoder_keys(arch: Architecture) -> Keys:
    if not arch.is_encoder:
        return {}
    keys: Keys = {"attention.causal": False, "pooling_type": _MEAN}
    if arch.is_bert:
        keys["tokenizer.ggml.token_type_count"] = max(1, arch.n_token_types)
    return keys


def _window_keys(arch: Architecture) -> Keys:
    return {"attention.sliding_window": arch.n_swa} if LayerKind.SLIDING in arch.layer_kinds() else {}


def _expert_keys(arch: Architecture) -> Keys:
    moe = arch.moe
    if moe is None:
        return {}
    keys: Keys = {
        "expert_count": moe.n_experts,
        "expert_used_count": moe.n_experts_used,
        "expert_feed_forward_length": moe.n_ff,
    }
    if moe.n_latent:
        keys["moe_latent_size"] = moe.n_latent
    if moe.n_ff_shared:
        keys["expert_shared_feed_forward_length"] = moe.n_ff_shared
        keys["expert_shared_count"] = max(1, moe.n_ff_shared // moe.n_ff)
    if arch.family in _GATED:
        keys["expert_gating_func"] = _SIGMOID
    if moe.n_layers_dense or arch.mla or arch.family == "lfm2moe":
        keys["leading_dense_block_count"] = moe.n_layers_dense
    return keys


def _latent_keys(arch: Architecture) -> Keys:
    mla = arch.mla
    if mla is None:
        return {}
    keys: Keys = {
        "attention.head_count_kv": 1,
        "attention.key_length": mla.kv_lora_rank + mla.qk_rope_head_dim,
        "attention.value_length": mla.kv_lora_rank,
        "attention.key_length_mla": mla.qk_nope_head_dim + mla.qk_rope_head_dim,
        "attention.value_length_mla": mla.v_head_dim,
        "attention.kv_lora_rank": mla.kv_lora_rank,
        "rope.dimension_count": mla.qk_rope_head_dim,
        "expert_weights_scale": 1.0,
        "expert_gating_func": _SIGMOID,
    }
    return keys | {"attention.q_lora_rank": mla.q_lora_rank} if mla.q_lora_rank else keys


def _index_keys(arch: Architecture) -> Keys:
    indexer = arch.indexer
    if indexer is None:
        return {}
    return {
        "attention.indexer.head_count": indexer.n_heads,
        "attention.indexer.key_length": indexer.head_dim,
        "attention.indexer.top_k": indexer.top_k,
        "attention.indexer.types": [layer.index_dim > 0 for layer in arch.layers],
    }


def _compressed_keys(arch: Architecture) -> Keys:
    compressed = arch.compressed
    if compressed is None:
        return {}
    return {
        "attention.q_lora_rank": compressed.q_lora_rank,
        "attention.output_group_count": compressed.o_groups,
        "attention.output_lora_rank": compressed.o_lora_rank,
        "attention.compress_ratios": list(compressed.ratios),
        "attention.compress_rope_freq_base": 160000.0,
        "hyper_connection.count": arch.n_hyper_connections,
        "hyper_connection.sinkhorn_iterations": 20,
        "hyper_connection.epsilon": 1e-6,
        "hash_layer_count": arch.moe.n_layers_hashed if arch.moe else 0,
        "expert_gating_func": _SQRT_SOFTPLUS,
        "expert_weights_scale": 1.0,
        "expert_weights_norm": True,
        "swiglu_clamp_exp": 10.0,
    }


def _recurrent_keys(arch: Architecture) -> Keys:
    r, kinds = arch.recurrent, arch.layer_kinds()
    if r is None:
        return {}
    if r.kind == "kda":
        one_latent = [int(kind is LayerKind.FULL) for kind in kinds]
        return {
            "ssm.conv_kernel": r.d_conv,
            "kda.head_dim": r.d_state,
            "attention.head_count_kv": one_latent,
        }
    keys: Keys = (
        {"shortconv.l_cache": r.d_conv, "expert_gating_func": _SIGMOID}
        if r.kind == "short_conv"
        else {
            "ssm.conv_kernel": r.d_conv,
            "ssm.inner_size": r.d_inner,
            "ssm.state_size": r.d_state,
            "ssm.time_step_rank": r.n_heads,
            "ssm.group_count": r.n_groups,
        }
    )
    if r.kind == "delta_net":
        keys["full_attention_interval"] = kinds.index(LayerKind.FULL) + 1
        keys["rope.dimension_count"] = arch.head_dim // 4
        keys["rope.dimension_sections"] = [11, 11, 10, 0]
    else:
        keys["attention.head_count_kv"] = [layer.n_kv_heads for layer in arch.layers]
    return keys


def _layer_keys(arch: Architecture) -> Keys:
    """Lists, one entry a layer, where layers differ in what they have."""
    keys: Keys = {}
    if arch.n_heads_by_layer:
        keys["attention.head_count"] = list(arch.n_heads_by_layer)
    if arch.n_kv_heads_by_layer or LayerKind.NONE in arch.layer_kinds():
        keys["attention.head_count_kv"] = [layer.n_kv_heads for layer in arch.layers]
    if arch.n_ff_by_layer or arch.ffn_pattern:
        n_ff_experts = arch.moe.n_ff if arch.moe else 0
        keys["feed_forward_length"] = [
            n_ff_experts if layer.has_experts else layer.n_ff for layer in arch.layers
        ]
    return keys


def _rope_keys(arch: Architecture) -> Keys:
    if arch.rope_factors != "longrope":
        return {}
    return {"rope.scaling.type": "longrope", "rope.scaling.original_context_length": 4096}


_PARTS: Final[tuple[Callable[[Architecture], Keys], ...]] = (
    _encoder_keys,
    _window_keys,
    _expert_keys,
    _latent_keys,
    _index_keys,
    _compressed_keys,
    _recurrent_keys,
    _layer_keys,
    _rope_keys,
)
"""What each trait of a model adds; a later part overrides an earlier one."""


def _family_keys(arch: Architecture) -> Keys:
    """What only that family has: constants, and what follows from its layers."""
    keys = dict(_CONSTANTS.get(arch.family, {}))
    follow = _BY_LAYERS.get(arch.family)
    return keys | follow(arch) if follow else keys


_SECTIONS: Final = [16, 24, 24, 0]
_CONSTANTS: Final[Mapping[str, Mapping[str, KeyValue]]] = {
    "apertus": {f"xielu.{name}": 1.0 for name in ("alpha_n", "alpha_p", "beta", "eps")},
    "bailingmoe": {"expert_weights_norm": True},
    "cohere2": {"logit_scale": 1.0},
    "granitemoe": {"logit_scale": 16.0},
    "mistral4": {"expert_weights_norm": True},
    "nomic-bert-moe": {"moe_every_n_layers": 2},
    "qwen2vl": {"rope.dimension_sections": _SECTIONS},
    "qwen3vl": {"rope.dimension_sections": _SECTIONS},
    "qwen3vlmoe": {"rope.dimension_sections": _SECTIONS},
    "minimax-m3": {"attention.indexer.block_size": 128, "attention.indexer.local_blocks": 1},
    "kimi-k3": {
        "attn_res.block_size": 12,
        "activation.situ_beta": 4.0,
        "activation.situ_linear_beta": 25.0,
    },
    "granite": {"logit_scale": 16.0, "residual_scale": 1.0, "embedding_scale": 1.0, "attention.scale": 1.0},
}
"""Keys that llama.cpp insists on, whatever their value."""


def _per_layer_keys(arch: Architecture) -> Keys:
    """Gemma 3n's and 4's embeddings of every layer, and the layers that share a cache."""
    embeddings = arch.per_layer_embeddings
    return {
        "attention.shared_kv_layers": arch.n_kv_shared_layers,
        "embedding_length_per_layer_input": embeddings.n_embd if embeddings else 0,
    }


def _gemma4_keys(arch: Architecture) -> Keys:
    keys: Keys = {
        "attention.head_count_kv": [layer.n_kv_heads for layer in arch.layers],
        "attention.key_length_swa": arch.head_dim,
        "attention.value_length_swa": arch.head_dim,
        "rope.dimension_count_swa": arch.head_dim,
        **_sliding_flags(arch),
        **_per_layer_keys(arch),
    }
    if arch.n_ff_shared_kv:
        keys["feed_forward_length"] = [layer.n_ff for layer in arch.layers]
    return keys


def _heads_and_flags(arch: Architecture) -> Keys:
    return {
        **_sliding_flags(arch),
        "attention.head_count": [layer.n_heads for layer in arch.layers],
        "attention.head_count_kv": [layer.n_kv_heads for layer in arch.layers],
    }


def _interleaved(arch: Architecture) -> Keys:
    """One layer of experts in so many."""
    return {"interleave_moe_layer_step": len(arch.ffn_pattern) or 1}


def _kimi_k3(arch: Architecture) -> Keys:
    return {"expert_latent_length": arch.moe.n_latent if arch.moe else 0}


def _sliding_flags(arch: Architecture) -> Keys:
    flags = [kind is LayerKind.SLIDING for kind in arch.layer_kinds()]
    return {"attention.sliding_window_pattern": flags} if any(flags) else {}


def _deepstack(arch: Architecture) -> Keys:
    return {"n_deepstack_layers": arch.n_deepstack_layers}


_BY_LAYERS: Final[Mapping[str, Callable[[Architecture], Keys]]] = {
    "gemma3n": lambda arch: _sliding_flags(arch) | _per_layer_keys(arch),
    "gemma4": _gemma4_keys,
    "ernie4_5-moe": _interleaved,
    "exaone-moe": _sliding_flags,
    "kimi-k3": _kimi_k3,
    "llama4": _interleaved,
    "mimo2": _heads_and_flags,
    "step35": _heads_and_flags,
    "olmo2": _sliding_flags,
    "qwen3vl": _deepstack,
    "qwen3vlmoe": _deepstack,
}
"""Families whose keys list their layers."""
