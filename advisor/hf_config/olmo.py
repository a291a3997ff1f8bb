"""The Allen Institute's OLMo 2 and 3, and OLMoE."""

from __future__ import annotations

from advisor.architecture import Architecture, Moe
from advisor.hf_config.decoder import decoder
from advisor.hf_config.reader import Config


def olmo2(c: Config) -> Architecture:
    """OLMo 2, and OLMo 3 with its sliding windows: one architecture to llama.cpp."""
    n_swa = c.optional("sliding_window") or 0
    pattern = c.pattern(c.layers("num_hidden_layers")) if n_swa else "f"
    return decoder(c, "olmo2", layer_pattern=pattern, n_swa=n_swa)


def olmoe(c: Config) -> Architecture:
    """OLMoE: experts in every layer, of the width that the config gives for its only feed-forward block."""
    moe = Moe(
        n_experts=c.integer("num_experts"),
        n_experts_used=c.integer("num_experts_per_tok"),
        n_ff=c.integer("intermediate_size"),
    )
    return decoder(c, "olmoe", moe=moe, n_ff=0)
