"""Decoders with Mamba layers or short convolutions."""

from __future__ import annotations

from typing import Final

from advisor.architecture import Architecture, Moe, Recurrent
from advisor.errors import ConfigError
from advisor.hf_config.decoder import decoder
from advisor.hf_config.reader import Config
from advisor.i18n import _


def _mamba2(c: Config) -> Recurrent:
    heads = c.integer("mamba_n_heads")
    return Recurrent(
        kind="mamba2",
        d_conv=c.integer("mamba_d_conv"),
        d_inner=heads * c.integer("mamba_d_head"),
        d_state=c.integer("mamba_d_state"),
        n_groups=c.integer("mamba_n_groups"),
        n_heads=heads,
    )


def granite_hybrid(c: Config) -> Architecture:
    """Granite 4: Mamba 2 layers with some of attention; the smallest have attention alone."""
    n_layers = c.layers("num_hidden_layers")
    pattern = c.pattern(n_layers)
    shared = c.optional("shared_intermediate_size") or 0
    moe = None
    if n_experts := c.optional("num_local_experts"):
        moe = Moe(
            n_experts=n_experts,
            n_experts_used=c.integer("num_experts_per_tok"),
            n_ff=c.integer("intermediate_size"),
            n_ff_shared=shared,
        )
    n_ff = 0 if moe else shared or c.integer("intermediate_size")
    if "r" not in pattern:  # the converter renames it to what it is
        return decoder(c, "granitemoe" if moe else "granite", n_ff=n_ff, moe=moe)
    return decoder(c, "granitehybrid", n_ff=n_ff, moe=moe, recurrent=_mamba2(c), layer_pattern=pattern)


def falcon_h1(c: Config) -> Architecture:
    """Falcon-H1: attention and Mamba 2 side by side in every layer."""
    c.refuse("attention_bias", "mlp_bias", "mamba_proj_bias", "projectors_bias")
    return decoder(
        c,
        "falcon-h1",
        layer_pattern="p",
        recurrent=Recurrent(
            kind="mamba2",
            d_conv=c.integer("mamba_d_conv"),
            d_inner=c.integer("mamba_d_ssm"),
            d_state=c.integer("mamba_d_state"),
            n_groups=c.integer("mamba_n_groups"),
            n_heads=c.integer("mamba_n_heads"),
            has_norm=c.flag("mamba_rms_norm", False),
        ),
    )


def jamba(c: Config) -> Architecture:
    """Jamba: Mamba 1 with attention in every so many layers, and experts in every other one."""
    n_layers, n_embd = c.layers("num_hidden_layers"), c.integer("hidden_size")
    if c.optional("mamba_expand") != _JAMBA_EXPAND:
        raise ConfigError(_("config.json: mamba_expand is not 2, which llama.cpp cannot load"))
    moe, ffn = None, "d"
    if c.integer("num_experts") > 1:
        moe = Moe(
            n_experts=c.integer("num_experts"),
            n_experts_used=c.integer("num_experts_per_tok"),
            n_ff=c.integer("intermediate_size"),
        )
        ffn = _every(c, n_layers, "expert_layer", "e", "d")
    return decoder(
        c,
        "jamba",
        moe=moe,
        ffn_pattern=ffn,
        layer_pattern=_every(c, n_layers, "attn_layer", "f", "r"),
        recurrent=Recurrent(
            kind="mamba",
            d_conv=c.integer("mamba_d_conv"),
            d_inner=_JAMBA_EXPAND * n_embd,
            d_state=c.integer("mamba_d_state"),
            n_heads=c.integer("mamba_dt_rank"),
        ),
    )


_JAMBA_EXPAND: Final = 2


def _every(c: Config, n_layers: int, name: str, letter: str, other: str) -> str:
    """Letters of all layers: `letter` where `name` says by its period and offset."""
    period, offset = c.integer(f"{name}_period"), c.count(f"{name}_offset")
    return "".join(letter if i % period == offset else other for i in range(n_layers))


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
        layer_pattern=c.pattern(c.layers("num_hidden_layers")),
    )
