"""Qwen 2 to 3.6."""

from __future__ import annotations

from typing import Any

from advisor.architecture import Architecture, Moe, Recurrent
from advisor.hf_config.decoder import decoder
from advisor.hf_config.reader import Config


def qwen2(c: Config) -> Architecture:
    """Qwen 2 and 2.5."""
    return decoder(c, "qwen2")


def qwen2_vl(c: Config) -> Architecture:
    """The language part of Qwen 2 VL and 2.5 VL."""
    return decoder(c, "qwen2vl")


def qwen3_vl(c: Config) -> Architecture:
    """The language part of Qwen 3 VL, dense."""
    return decoder(c, "qwen3vl", n_deepstack_layers=_n_deepstack(c))


def qwen3_vl_moe(c: Config) -> Architecture:
    """The language part of Qwen 3 VL, mixture of experts."""
    return qwen3_moe(c).model_copy(update={"family": "qwen3vlmoe", "n_deepstack_layers": _n_deepstack(c)})


def _n_deepstack(c: Config) -> int:
    """Layers that take in features of the image; none in a config of the language part alone."""
    layers = c.mapping("vision_config").get("deepstack_visual_indexes")
    return len(layers) if isinstance(layers, list) else 0


def qwen3(c: Config) -> Architecture:
    """Qwen 3, dense."""
    return decoder(c, "qwen3")


def qwen3_moe(c: Config) -> Architecture:
    """Qwen 3, mixture of experts."""
    moe = Moe(
        n_experts=c.integer("num_experts"),
        n_experts_used=c.integer("num_experts_per_tok"),
        n_ff=c.integer("moe_intermediate_size"),
    )
    return decoder(c, "qwen3moe", moe=moe, n_ff=0)


def _delta_net(c: Config) -> Recurrent:
    value_heads, value_dim = c.integer("linear_num_value_heads"), c.integer("linear_value_head_dim")
    return Recurrent(
        kind="delta_net",
        d_conv=c.integer("linear_conv_kernel_dim"),
        d_inner=value_heads * value_dim,
        d_state=c.integer("linear_key_head_dim"),
        n_groups=c.integer("linear_num_key_heads"),
        n_heads=value_heads,
    )


def qwen_hybrid(c: Config) -> Architecture:
    """Qwen3-Next, Qwen3.5 and 3.6: three gated delta-net layers, then one of full attention."""
    if "layer_types" in c.data:
        pattern = c.pattern(c.layers("num_hidden_layers"))
    else:
        pattern = "r" * (c.layers("full_attention_interval") - 1) + "f"
    common: dict[str, Any] = {
        "layer_pattern": pattern,
        "recurrent": _delta_net(c),
        "n_mtp_layers": c.optional("mtp_num_hidden_layers") or 0,
    }
    n_experts = c.optional("num_experts")
    if not n_experts:
        return decoder(c, "qwen35", **common)
    moe = Moe(
        n_experts=n_experts,
        n_experts_used=c.integer("num_experts_per_tok"),
        n_ff=c.integer("moe_intermediate_size"),
        n_ff_shared=c.integer("shared_expert_intermediate_size"),
    )
    family = "qwen3next" if c.data["model_type"] == "qwen3_next" else "qwen35moe"
    return decoder(c, family, moe=moe, n_ff=0, **common)
