"""Llama and those built like it."""

from __future__ import annotations

from typing import Any

from advisor.architecture import Architecture, Moe
from advisor.hf_config.decoder import decoder
from advisor.hf_config.reader import Config


def llama(c: Config) -> Architecture:
    """Llama, Mistral, Mixtral, Granite and SmolLM3."""
    rope = c.mapping("rope_scaling") or c.mapping("rope_parameters")
    factors = "llama3" if rope.get("rope_type", rope.get("type")) == "llama3" else "none"
    experts: dict[str, Any] = {}
    if n_experts := c.optional("num_local_experts"):
        moe = Moe(
            n_experts=n_experts,
            n_experts_used=c.integer("num_experts_per_tok"),
            n_ff=c.integer("intermediate_size"),
        )
        experts = {"moe": moe, "n_ff": 0}
    family = {"mistral3": "mistral3", "ministral3": "mistral3", "smollm3": "smollm3", "granite": "granite"}
    return decoder(
        c,
        family.get(c.data["model_type"], "llama"),
        rope_factors=factors,
        qkv_bias=c.flag("attention_bias", False),
        **experts,
    )
