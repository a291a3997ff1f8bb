"""NVIDIA's own decoders: Minitron, Nemotron-H and Nemotron 3, and the pruned Llama-Nemotrons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from advisor.architecture import Architecture, Moe, Recurrent
from advisor.errors import ConfigError
from advisor.hf_config.decoder import decoder
from advisor.hf_config.llama import rope_factors
from advisor.hf_config.reader import Config
from advisor.i18n import _

_BLOCKS: Final = {
    "M": "rn",
    "mamba": "rn",
    "linear_attention": "rn",
    "*": "fn",
    "attention": "fn",
    "full_attention": "fn",
    "-": "nd",
    "mlp": "nd",
    "E": "ne",
    "moe": "ne",
}
"""A block of Nemotron-H, by both of its spellings, as a layer's mixer and its feed-forward block."""
_FFN_MULTIPLE: Final = 256
"""DeciLM's feed-forward widths are rounded up to a multiple of it."""
_MAX_FFN_MULT: Final = 100
"""Widths of more than so many times the model's own are no model's."""


def nemotron(c: Config) -> Architecture:
    """Nemotron 4 and Minitron: a plain feed-forward block, and norms with a bias."""
    return decoder(c, "nemotron")


def nemotron_h(c: Config) -> Architecture:
    """Nemotron-H and Nemotron 3: every layer is one block, of Mamba 2, attention, MLP or experts."""
    blocks = _blocks(c)
    c.refuse("mlp_bias", "use_bias", "mamba_proj_bias", "attention_bias")
    heads = c.integer("mamba_num_heads")
    moe = None
    if n_experts := c.optional("n_routed_experts"):
        moe = Moe(
            n_experts=n_experts,
            n_experts_used=c.integer("num_experts_per_tok"),
            n_ff=c.integer("moe_intermediate_size"),
            n_ff_shared=c.integer("moe_shared_expert_intermediate_size"),
            selection_bias=True,
            n_latent=c.optional("moe_latent_size") or 0,
        )
    return decoder(
        c,
        "nemotron_h_moe" if moe else "nemotron_h",
        n_layers=len(blocks),
        layer_pattern="".join(block[0] for block in blocks),
        ffn_pattern="".join(block[1] for block in blocks),
        n_ff=0 if moe else c.integer("intermediate_size"),
        head_dim=c.integer("head_dim", "attention_head_dim"),
        moe=moe,
        recurrent=Recurrent(
            kind="mamba2",
            d_conv=c.integer("conv_kernel"),
            d_inner=heads * c.integer("mamba_head_dim"),
            d_state=c.integer("ssm_state_size"),
            n_groups=c.integer("n_groups"),
            n_heads=heads,
        ),
        n_mtp_layers=c.optional("num_nextn_predict_layers") or 0,
    )


def _blocks(c: Config) -> tuple[str, ...]:
    """Letters of every layer's mixer and feed-forward block."""
    written = c.data.get("hybrid_override_pattern") or c.data.get("layers_block_type")
    if not isinstance(written, Sequence) or not written:
        raise ConfigError(
            _(
                "config.json does not give hybrid_override_pattern or layers_block_type, so the "
                "kinds of its layers are not known"
            )
        )
    unknown = sorted({str(block) for block in written} - set(_BLOCKS))
    if unknown:
        raise ConfigError(_("config.json: unknown block type {unknown!r}").format(unknown=unknown[0]))
    n_layers = c.optional("num_hidden_layers") or len(written)
    if len(written) != n_layers:
        raise ConfigError(
            _("config.json: {n} blocks are listed for {n_layers} layers").format(
                n=len(written), n_layers=n_layers
            )
        )
    return tuple(_BLOCKS[block] for block in written)


class _Pruned(NamedTuple):
    """What a search has left of one layer."""

    n_kv_heads: int
    """0: no attention."""
    n_ff: int
    """0: no feed-forward block."""


def nemotron_nas(c: Config) -> Architecture:
    """Llama-Nemotron Super and Ultra: Llamas some of whose layers lost their attention or their width."""
    heads, layers = c.integer("num_attention_heads"), c.data.get("block_configs")
    if not isinstance(layers, Sequence) or len(layers) != c.layers("num_hidden_layers"):
        raise ConfigError(_("config.json does not give block_configs for every layer"))
    pruned = [_pruned(layer, heads, c.integer("hidden_size")) for layer in layers]
    return decoder(
        c,
        "deci",
        layer_pattern="".join("f" if layer.n_kv_heads else "n" for layer in pruned),
        ffn_pattern="".join("d" if layer.n_ff else "n" for layer in pruned),
        n_heads_by_layer=tuple(heads if layer.n_kv_heads else 0 for layer in pruned),
        n_kv_heads=max(layer.n_kv_heads for layer in pruned),
        n_kv_heads_by_layer=tuple(layer.n_kv_heads for layer in pruned),
        n_ff=max(layer.n_ff for layer in pruned),
        n_ff_by_layer=tuple(layer.n_ff for layer in pruned),
        rope_factors=rope_factors(c),
    )


def _pruned(layer: Any, heads: int, n_embd: int) -> _Pruned:
    attention, ffn = (_part(layer, name) for name in ("attention", "ffn"))
    group, mult = attention.get("n_heads_in_group"), ffn.get("ffn_mult")
    if not isinstance(group, int | None) or not isinstance(mult, int | float | None):
        raise ConfigError(
            _("config.json: n_heads_in_group and ffn_mult of block_configs must be numbers or null")
        )
    if group is not None and (group <= 0 or heads % group):
        raise ConfigError(
            _("config.json: n_heads_in_group {group} does not divide {heads} heads").format(
                group=group, heads=heads
            )
        )
    if not 0 <= (mult or 0) <= _MAX_FFN_MULT:
        raise ConfigError(
            _("config.json: ffn_mult {mult} of block_configs is not between 0 and {most}").format(
                mult=mult, most=_MAX_FFN_MULT
            )
        )
    n_ff = int(2 * (mult or 0) * n_embd / 3)
    return _Pruned(
        n_kv_heads=heads // group if group else 0,
        n_ff=-(-n_ff // _FFN_MULTIPLE) * _FFN_MULTIPLE,
    )


def _part(layer: Any, name: str) -> Mapping[str, Any]:
    part = layer.get(name) if isinstance(layer, Mapping) else None
    if not isinstance(part, Mapping):
        raise ConfigError(_("config.json: an entry of block_configs does not give {name}").format(name=name))
    if part.get("replace_with_linear"):
        raise ConfigError(
            _(
                "config.json: block_configs replaces {name} by a linear layer, for which there are no rules"
            ).format(name=name)
        )
    return part
