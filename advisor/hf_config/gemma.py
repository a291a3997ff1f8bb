"""Gemma 1 to 4, and 3n."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from advisor.architecture import Architecture, Moe, PerLayerEmbeddings
from advisor.errors import ConfigError
from advisor.hf_config.decoder import decoder
from advisor.hf_config.reader import Config
from advisor.i18n import _

_GEMMA3N: Final = {"hidden_size_per_layer_input": 256, "altup_num_inputs": 4, "laurel_rank": 64}
_GEMMA3N_OWN_CACHE: Final = 20
"""Constants of llama.cpp's Gemma 3n (src/llama-hparams.h, src/models/gemma3n.cpp)."""


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


def gemma3n(c: Config) -> Architecture:
    """Gemma 3n; llama.cpp knows its sizes by heart, so any other is refused."""
    n_layers, shared = c.layers("num_hidden_layers"), c.count("num_kv_shared_layers")
    for name, expected in _GEMMA3N.items():
        if c.integer(name) != expected:
            raise ConfigError(
                _("config.json: {name} is {value}, where llama.cpp expects {expected}").format(
                    name=name, value=c.data[name], expected=expected
                )
            )
    if n_layers - shared != _GEMMA3N_OWN_CACHE:
        raise ConfigError(
            _("config.json: {n} layers have a cache, where llama.cpp expects {expected}").format(
                n=n_layers - shared, expected=_GEMMA3N_OWN_CACHE
            )
        )
    return decoder(
        c,
        "gemma3n",
        tied_default=True,
        n_ff=c.uniform("intermediate_size"),
        layer_pattern=c.pattern(n_layers),
        n_swa=c.integer("sliding_window"),
        n_kv_shared_layers=shared,
        per_layer_embeddings=PerLayerEmbeddings(
            n_embd=c.integer("hidden_size_per_layer_input"),
            n_altup=c.integer("altup_num_inputs"),
            laurel_rank=c.integer("laurel_rank"),
        ),
    )


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
        layer_pattern=c.pattern(c.layers("num_hidden_layers")),
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
