"""Gemma 1 to 4."""

from __future__ import annotations

from collections.abc import Callable

from advisor.architecture import Architecture, Moe, PerLayerEmbeddings
from advisor.hf_config.decoder import decoder
from advisor.hf_config.reader import Config


def gemma(family: str, pattern: str | None) -> Callable[[Config], Architecture]:
    """Gemma 1 to 3; `pattern` is llama.cpp's where the config does not list the layers."""

    def build(c: Config) -> Architecture:
        if c.flag("use_bidirectional_attention", False):
            return decoder(
                c,
                "gemma-embedding",
                tied_default=True,
                layer_pattern=pattern,
                n_swa=c.integer("sliding_window"),
            )
        if pattern is None:
            return decoder(c, family, tied_default=True)
        return decoder(c, family, tied_default=True, layer_pattern=pattern, n_swa=c.integer("sliding_window"))

    return build


def gemma4(c: Config) -> Architecture:
    """Gemma 4."""
    moe = None
    if c.flag("enable_moe_block", False):
        moe = Moe(
            n_experts=c.integer("num_experts"),
            n_experts_used=c.integer("top_k_experts", "num_experts_per_tok"),
            n_ff=c.integer("moe_intermediate_size", "expert_intermediate_size"),
        )
    per_layer = c.optional("hidden_size_per_layer_input")
    double = 2 * c.integer("intermediate_size") if c.flag("use_double_wide_mlp", False) else None
    return decoder(
        c,
        "gemma4",
        tied_default=True,
        layer_pattern=c.pattern(c.integer("num_hidden_layers")),
        n_swa=c.integer("sliding_window"),
        head_dim_full=c.integer("global_head_dim"),
        n_kv_heads_full=c.optional("num_global_key_value_heads"),
        v_is_k_full=c.flag("attention_k_eq_v", False),
        n_kv_shared_layers=c.optional("num_kv_shared_layers") or 0,
        n_ff_shared_kv=double,
        rope_factors="proportional",
        moe=moe,
        per_layer_embeddings=PerLayerEmbeddings(n_embd=per_layer) if per_layer else None,
    )
