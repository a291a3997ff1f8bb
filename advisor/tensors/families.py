"""The families: a row of facts each, by llama.cpp's name of the architecture."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from advisor.architecture import Architecture
from advisor.errors import ConfigError


class Family(NamedTuple):
    """What distinguishes the layers of one llama.cpp architecture from those of another."""

    norms: tuple[str, ...] = ("attn_norm", "ffn_norm")
    """Vectors of width n_embd in every layer."""
    attention: Literal["split", "fused"] = "split"
    """Q, K and V as three matrices or as one."""
    qkv_bias: bool | None = None
    """None: as the architecture says."""
    out_bias: bool = False
    qk_norm: bool = False
    """A norm over each head's Q and K."""
    gated_q: bool = False
    """Q carries a gate of its own width."""
    sinks: bool = False
    """One learned logit a head."""
    ffn: Literal["gated", "fused", "plain"] = "gated"
    """gate + up + down, (gate|up) + down, or up + down with biases (BERT)."""
    expert_bias: bool = False
    experts_mxfp4: bool = False
    gated_shared_expert: bool = False
    """The shared expert is weighted by a gate of its own."""
    fused_gate_up_experts: bool = False
    fused_beta_alpha: bool = False
    """The delta net's two small projections as one matrix."""
    output_norm: str | None = "output_norm"


FAMILIES: Final = {
    "llama": Family(),
    "mistral3": Family(),
    "granite": Family(),
    "smollm3": Family(),
    "qwen2": Family(qkv_bias=True),
    "qwen3": Family(qk_norm=True),
    "qwen3moe": Family(qk_norm=True),
    "qwen3vl": Family(qk_norm=True),
    "gemma": Family(),
    "gemma2": Family(norms=("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")),
    "gemma3": Family(norms=("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"), qk_norm=True),
    "gemma-embedding": Family(
        norms=("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"), qk_norm=True
    ),
    "gemma4": Family(
        norms=("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"),
        qk_norm=True,
        fused_gate_up_experts=True,
    ),
    "phi3": Family(attention="fused", qkv_bias=False, ffn="fused"),
    "gpt-oss": Family(
        norms=("attn_norm", "post_attention_norm"),
        qkv_bias=True,
        out_bias=True,
        sinks=True,
        expert_bias=True,
        experts_mxfp4=True,
    ),
    "deepseek2": Family(),
    "granitehybrid": Family(),
    "exaone4": Family(norms=("post_attention_norm", "post_ffw_norm"), qk_norm=True),
    "qwen3next": Family(
        norms=("attn_norm", "post_attention_norm"),
        qk_norm=True,
        gated_q=True,
        gated_shared_expert=True,
        fused_beta_alpha=True,
    ),
    "qwen35": Family(norms=("attn_norm", "post_attention_norm"), qk_norm=True, gated_q=True),
    "qwen35moe": Family(
        norms=("attn_norm", "post_attention_norm"), qk_norm=True, gated_q=True, gated_shared_expert=True
    ),
    "lfm2": Family(qk_norm=True, output_norm="token_embd_norm"),
    "lfm2moe": Family(qk_norm=True, output_norm="token_embd_norm"),
    "nomic-bert": Family(norms=(), attention="fused", qkv_bias=False, output_norm=None),
    "bert": Family(norms=(), qkv_bias=True, out_bias=True, ffn="plain", output_norm=None),
}


def family_of(arch: Architecture) -> Family:
    """The facts of an architecture's family.

    Raises `ConfigError` for a family that has no rules yet.
    """
    family = FAMILIES.get(arch.family)
    if family is None:
        raise ConfigError(
            f"the architecture {arch.family!r} has no rules yet; a .gguf of the model can be estimated from "
            f"its own header (known: {', '.join(sorted(FAMILIES))})"
        )
    return family
