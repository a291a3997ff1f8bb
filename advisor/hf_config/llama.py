"""Llama and those built like it."""

from __future__ import annotations

from typing import Any, Final

from advisor.architecture import Architecture, Moe
from advisor.hf_config.decoder import decoder
from advisor.hf_config.reader import Config

_FAMILIES: Final = {
    "mistral3": "mistral3",
    "ministral3": "mistral3",
    "smollm3": "smollm3",
    "granite": "granite",
    "llama_bidirec": "llama-embed",
}
_MISTRAL3: Final = "Mistral3ForConditionalGeneration"
"""Mistral Small 3.1 and later, whose language part calls itself plain Mistral."""


def _family(c: Config) -> str:
    if _MISTRAL3 in c.architectures:
        return "mistral3"
    return _FAMILIES.get(c.data["model_type"], "llama")


def rope_factors(c: Config) -> str:
    """The frequency table that Llama 3's way of stretching the context puts into the file."""
    rope = c.mapping("rope_scaling") or c.mapping("rope_parameters")
    return "llama3" if rope.get("rope_type", rope.get("type")) == "llama3" else "none"


def llama(c: Config) -> Architecture:
    """Llama, Mistral, Mixtral, Granite and SmolLM3."""
    experts: dict[str, Any] = {}
    if n_experts := c.optional("num_local_experts"):
        moe = Moe(
            n_experts=n_experts,
            n_experts_used=c.integer("num_experts_per_tok"),
            n_ff=c.integer("intermediate_size"),
        )
        experts = {"moe": moe, "n_ff": 0}
    return decoder(
        c,
        _family(c),
        rope_factors=rope_factors(c),
        qkv_bias=c.flag("attention_bias", False),
        **experts,
    )
