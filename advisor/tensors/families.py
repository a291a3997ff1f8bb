"""The families: a row of facts each, by llama.cpp's name of the architecture."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from advisor.architecture import Architecture
from advisor.errors import ConfigError
from advisor.i18n import _


class Family(NamedTuple):
    """What distinguishes the layers of one llama.cpp architecture from those of another."""

    norms: tuple[str, ...] = ("attn_norm", "ffn_norm")
    """Vectors of width n_embd in every layer."""
    bare_norms: tuple[str, ...] = ()
    """More of them, whose tensors are not called ".weight"."""
    norm_bias: bool = False
    """A bias beside every norm of width n_embd."""
    norms_follow_blocks: bool = False
    """A layer without attention, or without a feed-forward block, lacks that block's norm (pruned models)."""
    first_layer_norm: bool = True
    """The first layer has its norm before attention (ModernBERT's does not: the embeddings have one)."""
    embd_norm: bool = False
    """A norm over the token embeddings."""
    attention: Literal["split", "fused"] = "split"
    """Q, K and V as three matrices or as one."""
    qkv_bias: bool | None = None
    """None: as the architecture says."""
    out_bias: bool = False
    qk_norm: Literal["head", "heads", "all"] | None = None
    """Norms over Q and K: one for every head, one a head, or one over all heads together."""
    qk_norm_by_model: bool = False
    """Only where the architecture says so."""
    gated_q: bool = False
    """Q carries a gate of its own width."""
    sinks: bool = False
    """One learned logit a head."""
    sliding_sinks: bool = False
    """The same in the sliding layers alone (MiMo V2)."""
    gate: Literal["head", "value"] | None = None
    """A matrix that gates attention's output: by one number a head (Step 3.5), or one a value (Kimi K3)."""
    shared_cache_has_kv: bool = False
    """Layers that read an earlier layer's cache have K and V matrices all the same (Gemma 3n)."""
    ffn: Literal["gated", "fused", "plain"] = "gated"
    """gate + up + down, (gate|up) + down, or up + down; experts of a plain family have no gate either."""
    ffn_bias: tuple[str, ...] = ()
    """Matrices of the ordinary block that have a bias."""
    expert_bias: bool = False
    latent: tuple[str, str, str | None] = ("ffn_latent_down", "ffn_latent_up", None)
    """Projections to and from the routed experts' own width, and the norm between."""
    output_bias: bool = False
    """A bias on the logits."""
    experts_mxfp4: bool = False
    gated_shared_expert: bool = False
    """The shared expert is weighted by a gate of its own."""
    fused_gate_up_experts: bool = False
    fused_beta_alpha: bool = False
    """The delta net's two small projections as one matrix."""
    kda_full_rank_gate: bool = False
    """The gate of Kimi's delta attention is one matrix, not the product of two narrow ones."""
    output_norm: str | None = "output_norm"
    output_vectors: tuple[str, ...] = ()
    """More vectors of width n_embd after the layers."""
    classifier: tuple[str, ...] = ("cls.output.weight",)
    """A reranker's head."""


_FOUR_NORMS: Final = ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")
_BERT_NORMS: Final = ("attn_output_norm", "layer_output_norm")
_BOTH: Final = ("ffn_up", "ffn_down")
_BERT_HEAD: Final = ("cls.weight", "cls.bias", "cls.output.weight", "cls.output.bias")
_BERT: Final = Family(
    norms=_BERT_NORMS,
    norm_bias=True,
    embd_norm=True,
    qkv_bias=True,
    out_bias=True,
    ffn="plain",
    ffn_bias=_BOTH,
    output_norm=None,
    classifier=_BERT_HEAD,
)

FAMILIES: Final = {
    "llama": Family(),
    "llama-embed": Family(),
    "mistral3": Family(),
    "granite": Family(),
    "smollm3": Family(),
    "qwen2": Family(qkv_bias=True),
    "qwen3": Family(qk_norm="head"),
    "qwen3moe": Family(qk_norm="head"),
    "qwen3vl": Family(qk_norm="head"),
    "qwen3vlmoe": Family(qk_norm="head"),
    "qwen2vl": Family(qkv_bias=True),
    "gemma": Family(),
    "gemma2": Family(norms=_FOUR_NORMS),
    "gemma3": Family(norms=_FOUR_NORMS, qk_norm="head"),
    "gemma-embedding": Family(norms=_FOUR_NORMS, qk_norm="head"),
    "gemma3n": Family(norms=_FOUR_NORMS, qk_norm="head", shared_cache_has_kv=True),
    "gemma4": Family(
        norms=_FOUR_NORMS,
        qk_norm="head",
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
    "deepseek32": Family(),
    "deepseek4": Family(),
    "glm-dsa": Family(),
    "mistral4": Family(fused_gate_up_experts=True),
    "glm4moe": Family(norms=("attn_norm", "post_attention_norm"), qk_norm="head", qk_norm_by_model=True),
    "llama4": Family(),
    "minimax-m2": Family(qkv_bias=False, qk_norm="all"),
    "minimax-m3": Family(qkv_bias=False, qk_norm="head"),
    "mimo2": Family(sliding_sinks=True),
    "step35": Family(qkv_bias=False, qk_norm="head", gate="head"),
    "kimi-linear": Family(qkv_bias=False),
    "kimi-k3": Family(
        norms=("attn_norm", "ffn_norm", "attn_res_score", "ffn_res_score"),
        qkv_bias=False,
        gate="value",
        kda_full_rank_gate=True,
        latent=("ffn_routed_down", "ffn_routed_up", "ffn_routed_norm"),
        output_vectors=("output_res_score",),
    ),
    "ernie4_5": Family(qkv_bias=False),
    "ernie4_5-moe": Family(qkv_bias=False),
    "hunyuan-dense": Family(qkv_bias=False, qk_norm="head"),
    "hunyuan-moe": Family(qkv_bias=False, qk_norm="head"),
    "exaone-moe": Family(qkv_bias=False, qk_norm="head"),
    "qwen2moe": Family(qkv_bias=True, gated_shared_expert=True),
    "bailingmoe": Family(),
    "bailingmoe2": Family(attention="fused", qk_norm="head"),
    "dots1": Family(qk_norm="head"),
    "phimoe": Family(norm_bias=True, qkv_bias=True, out_bias=True, output_bias=True),
    "granitehybrid": Family(),
    "nemotron": Family(norm_bias=True, qkv_bias=False, ffn="plain"),
    "nemotron_h": Family(norms=("attn_norm",), qkv_bias=False, ffn="plain"),
    "nemotron_h_moe": Family(norms=("attn_norm",), qkv_bias=False, ffn="plain"),
    "deci": Family(norms_follow_blocks=True, qkv_bias=False),
    "falcon-h1": Family(norms=("attn_norm",), bare_norms=("ffn_norm",), qkv_bias=False),
    "jamba": Family(qkv_bias=False),
    "olmo2": Family(norms=("post_attention_norm", "post_ffw_norm"), qkv_bias=False, qk_norm="all"),
    "olmoe": Family(qkv_bias=False, qk_norm="all"),
    "command-r": Family(norms=("attn_norm",), qkv_bias=False, qk_norm="heads", qk_norm_by_model=True),
    "cohere2": Family(norms=("attn_norm",), qkv_bias=False),
    "granitemoe": Family(),
    "seed_oss": Family(norms=("attn_norm", "post_attention_norm")),
    "stablelm": Family(norm_bias=True),
    "starcoder2": Family(norm_bias=True, qkv_bias=True, out_bias=True, ffn="plain", ffn_bias=_BOTH),
    "internlm2": Family(qkv_bias=False),
    "minicpm": Family(qkv_bias=False),
    "exaone": Family(qkv_bias=False),
    "apertus": Family(qkv_bias=False, qk_norm="head", ffn="plain"),
    "arcee": Family(qkv_bias=False, ffn="plain"),
    "glm4": Family(norms=_FOUR_NORMS, ffn="fused"),
    "chatglm": Family(attention="fused", ffn="fused"),
    "exaone4": Family(norms=("post_attention_norm", "post_ffw_norm"), qk_norm="head"),
    "qwen3next": Family(
        norms=("attn_norm", "post_attention_norm"),
        qk_norm="head",
        gated_q=True,
        gated_shared_expert=True,
        fused_beta_alpha=True,
    ),
    "qwen35": Family(norms=("attn_norm", "post_attention_norm"), qk_norm="head", gated_q=True),
    "qwen35moe": Family(
        norms=("attn_norm", "post_attention_norm"), qk_norm="head", gated_q=True, gated_shared_expert=True
    ),
    "lfm2": Family(qk_norm="head", output_norm="token_embd_norm"),
    "lfm2moe": Family(qk_norm="head", output_norm="token_embd_norm"),
    "bert": _BERT,
    "nomic-bert": _BERT._replace(attention="fused", qkv_bias=False, out_bias=False, ffn="gated", ffn_bias=()),
    "nomic-bert-moe": _BERT._replace(attention="fused"),
    "jina-bert-v2": _BERT._replace(ffn="fused", ffn_bias=("ffn_down",)),
    "jina-bert-v3": _BERT._replace(attention="fused"),
    "modern-bert": Family(
        first_layer_norm=False,
        embd_norm=True,
        attention="fused",
        qkv_bias=False,
        ffn="fused",
        classifier=("cls.weight", "cls.norm.weight", "cls.output.weight", "cls.output.bias"),
    ),
    "neo-bert": Family(
        attention="fused",
        qkv_bias=False,
        ffn="fused",
        output_norm="enc.output_norm",
        classifier=_BERT_HEAD,
    ),
    "eurobert": Family(qkv_bias=False),
}


def family_of(arch: Architecture) -> Family:
    """The facts of an architecture's family.

    Raises `ConfigError` for a family that has no rules yet.
    """
    family = FAMILIES.get(arch.family)
    if family is None:
        raise ConfigError(
            _(
                "the architecture {family!r} has no rules yet; a .gguf of the model can be "
                "estimated from its own header (known: {known})"
            ).format(family=arch.family, known=", ".join(sorted(FAMILIES)))
        )
    return family
