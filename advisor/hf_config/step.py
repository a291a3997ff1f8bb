"""StepFun's Step 3.5 and 3.7 Flash: sliding layers with more query heads than the full ones."""

from __future__ import annotations

from advisor.architecture import Architecture, Moe
from advisor.errors import ConfigError
from advisor.hf_config.decoder import decoder
from advisor.hf_config.llama import rope_factors
from advisor.hf_config.reader import Config
from advisor.i18n import _


def step3p5(c: Config) -> Architecture:
    """The language part; a config without the sliding layers' heads is refused."""
    n_layers = c.layers("num_hidden_layers")
    sliding = Config(c.mapping("attention_other_setting"))
    if "num_attention_heads" not in sliding.data:
        raise ConfigError(
            _(
                "config.json does not give num_attention_heads of attention_other_setting, so "
                "the heads of its sliding layers are not known"
            )
        )
    for name in ("use_head_wise_attn_gate", "use_qk_norm", "use_moe_router_bias"):
        if not c.flag(name, False):
            raise ConfigError(
                _("config.json: {name} is not set: there are no rules for such a model").format(name=name)
            )
    types = c.by_layer("layer_types", n_layers)
    pattern = Config({"layer_types": types}).pattern(n_layers)
    heads = (c.integer("num_attention_heads"), sliding.integer("num_attention_heads"))
    kv_heads = c.integer("num_attention_groups")
    return decoder(
        c,
        "step35",
        layer_pattern=pattern,
        n_swa=c.integer("sliding_window"),
        n_heads_by_layer=tuple(heads[pattern[i % len(pattern)] == "s"] for i in range(n_layers)),
        n_kv_heads=sliding.optional("num_attention_groups") or kv_heads,
        n_kv_heads_full=kv_heads,
        rope_factors=rope_factors(c),
        moe=Moe(
            n_experts=c.integer("moe_num_experts"),
            n_experts_used=c.integer("moe_top_k"),
            n_ff=c.integer("moe_intermediate_size"),
            n_ff_shared=c.integer("share_expert_dim"),
            n_layers_dense=_first_of_experts(c, n_layers),
            selection_bias=True,
        ),
        n_mtp_layers=c.optional("num_nextn_predict_layers") or 0,
    )


def _first_of_experts(c: Config, n_layers: int) -> int:
    """The first layer of experts, by `moe_layers_enum`: their numbers, up to the last, between commas."""
    written = c.data.get("moe_layers_enum")
    if not isinstance(written, str) or not written.replace(",", "").isdigit():
        raise ConfigError(
            _("config.json does not give moe_layers_enum, so its layers of experts are not known")
        )
    layers = sorted(int(number) for number in written.split(",") if number and int(number) < n_layers)
    if not layers or layers != list(range(layers[0], n_layers)):
        raise ConfigError(_("config.json: moe_layers_enum has dense layers among those of experts"))
    return layers[0]
