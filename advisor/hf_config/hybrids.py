"""Decoders with Mamba layers or short convolutions."""

from __future__ import annotations

from advisor.architecture import Architecture, Moe, Recurrent
from advisor.hf_config.decoder import decoder
from advisor.hf_config.reader import Config


def granite_hybrid(c: Config) -> Architecture:
    """Granite 4: Mamba 2 layers with some of attention."""
    heads, dim = c.integer("mamba_n_heads"), c.integer("mamba_d_head")
    recurrent = Recurrent(
        kind="mamba2",
        d_conv=c.integer("mamba_d_conv"),
        d_inner=heads * dim,
        d_state=c.integer("mamba_d_state"),
        n_groups=c.integer("mamba_n_groups"),
        n_heads=heads,
    )
    shared = c.optional("shared_intermediate_size") or 0
    moe = None
    if n_experts := c.optional("num_local_experts"):
        moe = Moe(
            n_experts=n_experts,
            n_experts_used=c.integer("num_experts_per_tok"),
            n_ff=c.integer("intermediate_size"),
            n_ff_shared=shared,
        )
    return decoder(
        c,
        "granitehybrid",
        n_ff=0 if moe else shared or c.integer("intermediate_size"),
        moe=moe,
        recurrent=recurrent,
        layer_pattern=c.pattern(c.integer("num_hidden_layers")),
    )


def lfm2(c: Config) -> Architecture:
    """LFM2: short convolutions with some layers of attention."""
    moe = None
    if n_experts := c.optional("num_experts"):
        moe = Moe(
            n_experts=n_experts,
            n_experts_used=c.integer("num_experts_per_tok"),
            n_ff=c.integer("moe_intermediate_size"),
            n_layers_dense=c.count("num_dense_layers"),
            selection_bias=c.flag("use_expert_bias", True),
        )
    return decoder(
        c,
        "lfm2moe" if moe else "lfm2",
        tied_default=True,
        moe=moe,
        recurrent=Recurrent(kind="short_conv", d_conv=c.integer("conv_L_cache")),
        layer_pattern=c.pattern(c.integer("num_hidden_layers")),
    )
