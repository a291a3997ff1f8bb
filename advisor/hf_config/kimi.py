"""Moonshot's Kimi Linear and Kimi K3: delta attention with some layers of latent attention."""

from __future__ import annotations

from typing import Final

from advisor.architecture import Architecture, Moe, Recurrent
from advisor.errors import ConfigError
from advisor.hf_config.decoder import decoder
from advisor.hf_config.deepseek import latent
from advisor.hf_config.reader import Config, shorten_pattern
from advisor.i18n import _

_K3: Final = ("mla_use_nope", "mla_use_output_gate", "latent_moe_use_norm")
_K3_FULL_RANK: Final = "use_full_rank_gate"
"""What Kimi K3 has; llama.cpp takes most of it for granted."""


def kimi_linear(c: Config) -> Architecture:
    """Kimi Linear; with residuals across layers, Kimi K3."""
    is_k3 = "attn_res_block_size" in c.data
    linear, heads = Config(c.mapping("linear_attn_config")), c.integer("num_attention_heads")
    if linear.integer("num_heads") != heads:
        raise ConfigError(_("config.json: num_heads of linear_attn_config is not num_attention_heads"))
    if is_k3:
        _check_k3(c, linear)
    head_dim, mla = linear.integer("head_dim"), latent(c)
    n_ff = c.integer("moe_intermediate_size")
    return decoder(
        c,
        "kimi-k3" if is_k3 else "kimi-linear",
        layer_pattern=_pattern(c, linear),
        head_dim=mla.qk_nope_head_dim + mla.qk_rope_head_dim,
        mla=mla,
        recurrent=Recurrent(
            kind="kda",
            d_conv=linear.integer("short_conv_kernel_size"),
            d_inner=heads * head_dim,
            d_state=head_dim,
            n_groups=heads,
            n_heads=heads,
        ),
        moe=Moe(
            n_experts=c.integer("num_experts"),
            n_experts_used=c.integer("num_experts_per_token"),
            n_ff=n_ff,
            n_ff_shared=n_ff * c.count("num_shared_experts"),
            n_layers_dense=c.count("first_k_dense_replace"),
            selection_bias=True,
            n_latent=c.optional("routed_expert_hidden_size") or 0,
        ),
        n_ctx_train=c.integer("max_position_embeddings", "model_max_length"),
    )


def _check_k3(c: Config, linear: Config) -> None:
    unset = [name for name in _K3 if not c.flag(name, False)]
    if not linear.flag(_K3_FULL_RANK, False):
        unset.append(_K3_FULL_RANK)
    if unset:
        raise ConfigError(
            _("config.json: {name} is not set: there are no rules for such a Kimi K3").format(name=unset[0])
        )


def _pattern(c: Config, linear: Config) -> str:
    """Letters of the layers, whose lists count from 1."""
    n_layers = c.layers("num_hidden_layers")
    letters: dict[int, str] = {}
    for name, letter in (("full_attn_layers", "f"), ("kda_layers", "r")):
        layers = linear.data.get(name)
        if not isinstance(layers, list):
            raise ConfigError(_("config.json does not give {name} of linear_attn_config").format(name=name))
        letters |= {layer: letter for layer in layers if isinstance(layer, int)}
    if len(letters) != n_layers or min(letters) != 1 or max(letters) != n_layers:
        raise ConfigError(_("config.json: full_attn_layers and kda_layers do not name every layer"))
    return shorten_pattern("".join(letters[layer] for layer in sorted(letters)))
