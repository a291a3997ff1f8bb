"""Decoders of their own kind."""

from __future__ import annotations

from advisor.architecture import Architecture, Moe
from advisor.hf_config.decoder import decoder
from advisor.hf_config.reader import Config


def phi3(c: Config) -> Architecture:
    """Phi 3 and 4."""
    rope = c.mapping("rope_scaling")
    dim = c.optional("head_dim") or c.integer("hidden_size") // c.integer("num_attention_heads")
    longrope = rope.get("type", rope.get("rope_type")) == "longrope"
    return decoder(
        c,
        "phi3",
        n_rot=int(dim * c.fraction("partial_rotary_factor", 1.0)),
        rope_factors="longrope" if longrope else "none",
    )


def gpt_oss(c: Config) -> Architecture:
    """gpt-oss."""
    moe = Moe(
        n_experts=c.integer("num_local_experts"),
        n_experts_used=c.integer("num_experts_per_tok", "experts_per_token"),
        n_ff=c.integer("intermediate_size"),
    )
    return decoder(
        c,
        "gpt-oss",
        n_ff=0,
        moe=moe,
        layer_pattern=c.pattern(c.layers("num_hidden_layers")),
        n_swa=c.integer("sliding_window"),
    )


def exaone4(c: Config) -> Architecture:
    """EXAONE 4."""
    n_layers = c.layers("num_hidden_layers")
    n_swa = c.optional("sliding_window") or 0
    rope = c.mapping("rope_scaling")
    return decoder(
        c,
        "exaone4",
        layer_pattern=c.pattern(n_layers) if n_swa else "f",
        n_swa=n_swa,
        rope_factors="llama3" if rope.get("rope_type") == "llama3" else "none",
    )
