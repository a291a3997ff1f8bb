"""Llama 4: three layers that see their chunk of the text, then one that sees everything."""

from __future__ import annotations

from typing import Final

from advisor.architecture import Architecture, Moe
from advisor.errors import ConfigError
from advisor.hf_config.decoder import decoder
from advisor.hf_config.llama import rope_factors
from advisor.hf_config.reader import Config
from advisor.i18n import _

_CHUNK: Final = 8192
"""Tokens of a chunk, which llama.cpp takes for granted, as it does the pattern of the layers."""


def llama4(c: Config) -> Architecture:
    """Scout has experts in every layer, Maverick in every second, with one shared expert of their width."""
    chunk = c.integer("attention_chunk_size")
    if chunk != _CHUNK:
        raise ConfigError(
            _("config.json: attention_chunk_size is {chunk}, where llama.cpp expects {expected}").format(
                chunk=chunk, expected=_CHUNK
            )
        )
    n_ff, step = c.integer("intermediate_size"), c.layers("interleave_moe_layer_step")
    if step > c.layers("num_hidden_layers"):
        raise ConfigError(
            _("config.json: interleave_moe_layer_step is {step}, so no layer has experts").format(step=step)
        )
    return decoder(
        c,
        "llama4",
        layer_pattern="sssf",
        n_swa=chunk,
        n_ff=c.integer("intermediate_size_mlp"),
        ffn_pattern="d" * (step - 1) + "e",
        qkv_bias=c.flag("attention_bias", False),
        rope_factors=rope_factors(c),
        moe=Moe(
            n_experts=c.integer("num_local_experts"),
            n_experts_used=c.integer("num_experts_per_tok"),
            n_ff=n_ff,
            n_ff_shared=n_ff,
        ),
    )
