"""One builder a model type: which keys of its config.json say what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from advisor.errors import ConfigError
from advisor.hf_config.reader import Config
from advisor.model import Architecture, Mla, Moe, PerLayerEmbeddings, Recurrent

Builder = Callable[[Config], Architecture]


def _decoder(c: Config, family: str, *, tied_default: bool = False, **extra: Any) -> Architecture:
    """What every decoder has; `extra` adds or replaces fields."""
    heads = c.integer("num_attention_heads")
    n_embd = c.integer("hidden_size")
    head_dim = extra.get("head_dim") or c.optional("head_dim")
    if head_dim is None:
        head_dim, rest = divmod(n_embd, heads)
        if rest:
            raise ConfigError(
                "config.json does not give head_dim, and hidden_size is not a multiple of the heads"
            )
    fields: dict[str, Any] = {
        "family": family,
        "n_layers": c.integer("num_hidden_layers"),
        "n_embd": n_embd,
        "n_vocab": c.integer("vocab_size"),
        "n_ctx_train": c.integer("max_position_embeddings"),
        "n_heads": heads,
        "n_kv_heads": c.optional("num_key_value_heads") or heads,
        "head_dim": head_dim,
        "tied_embeddings": c.flag("tie_word_embeddings", tied_default),
    }
    if "n_ff" not in extra:
        fields["n_ff"] = c.integer("intermediate_size")
    return Architecture(**{**fields, **extra})


def _llama(c: Config) -> Architecture:
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
    return _decoder(
        c,
        family.get(c.data["model_type"], "llama"),
        rope_factors=factors,
        qkv_bias=c.flag("attention_bias", False),
        **experts,
    )


def _qwen2(c: Config) -> Architecture:
    return _decoder(c, "qwen2")


def _qwen3(c: Config) -> Architecture:
    return _decoder(c, "qwen3")


def _qwen3_moe(c: Config) -> Architecture:
    moe = Moe(
        n_experts=c.integer("num_experts"),
        n_experts_used=c.integer("num_experts_per_tok"),
        n_ff=c.integer("moe_intermediate_size"),
    )
    return _decoder(c, "qwen3moe", moe=moe, n_ff=0)


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


def _qwen_hybrid(c: Config) -> Architecture:
    """Qwen3-Next, Qwen3.5 and 3.6: three gated delta-net layers, then one of full attention."""
    if "layer_types" in c.data:
        pattern = c.pattern(c.integer("num_hidden_layers"))
    else:
        pattern = "r" * (c.integer("full_attention_interval") - 1) + "f"
    common: dict[str, Any] = {
        "layer_pattern": pattern,
        "recurrent": _delta_net(c),
        "n_mtp_layers": c.optional("mtp_num_hidden_layers") or 0,
    }
    n_experts = c.optional("num_experts")
    if not n_experts:
        return _decoder(c, "qwen35", **common)
    moe = Moe(
        n_experts=n_experts,
        n_experts_used=c.integer("num_experts_per_tok"),
        n_ff=c.integer("moe_intermediate_size"),
        n_ff_shared=c.integer("shared_expert_intermediate_size"),
    )
    family = "qwen3next" if c.data["model_type"] == "qwen3_next" else "qwen35moe"
    return _decoder(c, family, moe=moe, n_ff=0, **common)


def _gemma(family: str, pattern: str | None) -> Callable[[Config], Architecture]:
    """Gemma 1 to 3; `pattern` is llama.cpp's where the config does not list the layers."""

    def build(c: Config) -> Architecture:
        if c.flag("use_bidirectional_attention", False):
            return _decoder(
                c,
                "gemma-embedding",
                tied_default=True,
                layer_pattern=pattern,
                n_swa=c.integer("sliding_window"),
            )
        if pattern is None:
            return _decoder(c, family, tied_default=True)
        return _decoder(
            c, family, tied_default=True, layer_pattern=pattern, n_swa=c.integer("sliding_window")
        )

    return build


def _gemma4(c: Config) -> Architecture:
    moe = None
    if c.flag("enable_moe_block", False):
        moe = Moe(
            n_experts=c.integer("num_experts"),
            n_experts_used=c.integer("top_k_experts", "num_experts_per_tok"),
            n_ff=c.integer("moe_intermediate_size", "expert_intermediate_size"),
        )
    per_layer = c.optional("hidden_size_per_layer_input")
    double = 2 * c.integer("intermediate_size") if c.flag("use_double_wide_mlp", False) else None
    return _decoder(
        c,
        "gemma4",
        tied_default=True,
        layer_pattern=c.pattern(c.integer("num_hidden_layers")),
        n_swa=c.integer("sliding_window"),
        head_dim_full=c.integer("global_head_dim"),
        n_kv_heads_full=c.optional("num_global_key_value_heads"),
        v_is_k_full=c.flag("attention_k_eq_v", False),
        n_kv_shared_layers=c.optional("num_kv_shared_layers") or 0,
        n_ff_shared_kv=double,
        rope_factors="proportional",
        moe=moe,
        per_layer_embeddings=PerLayerEmbeddings(n_embd=per_layer) if per_layer else None,
    )


def _phi3(c: Config) -> Architecture:
    rope = c.mapping("rope_scaling")
    dim = c.optional("head_dim") or c.integer("hidden_size") // c.integer("num_attention_heads")
    longrope = rope.get("type", rope.get("rope_type")) == "longrope"
    return _decoder(
        c,
        "phi3",
        n_rot=int(dim * float(c.data.get("partial_rotary_factor") or 1.0)),
        rope_factors="longrope" if longrope else "none",
    )


def _gpt_oss(c: Config) -> Architecture:
    moe = Moe(
        n_experts=c.integer("num_local_experts"),
        n_experts_used=c.integer("num_experts_per_tok", "experts_per_token"),
        n_ff=c.integer("intermediate_size"),
    )
    return _decoder(
        c,
        "gpt-oss",
        n_ff=0,
        moe=moe,
        layer_pattern=c.pattern(c.integer("num_hidden_layers")),
        n_swa=c.integer("sliding_window"),
    )


def _deepseek(c: Config) -> Architecture:
    moe = Moe(
        n_experts=c.integer("n_routed_experts"),
        n_experts_used=c.integer("num_experts_per_tok"),
        n_ff=c.integer("moe_intermediate_size"),
        n_ff_shared=c.integer("moe_intermediate_size") * (c.optional("n_shared_experts") or 0),
        n_layers_dense=c.count("first_k_dense_replace"),
        selection_bias=c.data.get("topk_method") == "noaux_tc",
    )
    mla = Mla(
        q_lora_rank=c.optional("q_lora_rank"),
        kv_lora_rank=c.integer("kv_lora_rank"),
        qk_nope_head_dim=c.integer("qk_nope_head_dim"),
        qk_rope_head_dim=c.integer("qk_rope_head_dim"),
        v_head_dim=c.integer("v_head_dim"),
    )
    head_dim = mla.qk_nope_head_dim + mla.qk_rope_head_dim
    mtp = c.optional("num_nextn_predict_layers") or 0
    return _decoder(c, "deepseek2", moe=moe, mla=mla, head_dim=head_dim, n_mtp_layers=mtp)


def _granite_hybrid(c: Config) -> Architecture:
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
    return _decoder(
        c,
        "granitehybrid",
        n_ff=0 if moe else shared or c.integer("intermediate_size"),
        moe=moe,
        recurrent=recurrent,
        layer_pattern=c.pattern(c.integer("num_hidden_layers")),
    )


def _lfm2(c: Config) -> Architecture:
    moe = None
    if n_experts := c.optional("num_experts"):
        moe = Moe(
            n_experts=n_experts,
            n_experts_used=c.integer("num_experts_per_tok"),
            n_ff=c.integer("moe_intermediate_size"),
            n_layers_dense=c.count("num_dense_layers"),
            selection_bias=c.flag("use_expert_bias", True),
        )
    return _decoder(
        c,
        "lfm2moe" if moe else "lfm2",
        tied_default=True,
        moe=moe,
        recurrent=Recurrent(kind="short_conv", d_conv=c.integer("conv_L_cache")),
        layer_pattern=c.pattern(c.integer("num_hidden_layers")),
    )


def _exaone4(c: Config) -> Architecture:
    n_layers = c.integer("num_hidden_layers")
    n_swa = c.optional("sliding_window") or 0
    rope = c.mapping("rope_scaling")
    return _decoder(
        c,
        "exaone4",
        layer_pattern=c.pattern(n_layers) if n_swa else "f",
        n_swa=n_swa,
        rope_factors="llama3" if rope.get("rope_type") == "llama3" else "none",
    )


def _nomic_bert(c: Config) -> Architecture:
    heads, n_embd = c.integer("n_head"), c.integer("n_embd")
    return Architecture(
        family="nomic-bert",
        n_layers=c.integer("n_layer"),
        n_embd=n_embd,
        n_vocab=c.integer("vocab_size"),
        n_ctx_train=c.integer("n_positions"),
        n_heads=heads,
        n_kv_heads=heads,
        head_dim=n_embd // heads,
        n_ff=c.integer("n_inner"),
        n_token_types=c.optional("type_vocab_size") or 2,
    )


_ROBERTA_PADDING: Final = 2
"""RoBERTa's position table starts behind the padding token; the converter drops those rows."""


def _bert(positions_dropped: int) -> Callable[[Config], Architecture]:
    def build(c: Config) -> Architecture:
        heads, n_embd = c.integer("num_attention_heads"), c.integer("hidden_size")
        positions = c.integer("max_position_embeddings") - positions_dropped
        return Architecture(
            family="bert",
            n_layers=c.integer("num_hidden_layers"),
            n_embd=n_embd,
            n_vocab=c.integer("vocab_size"),
            n_ctx_train=positions,
            n_heads=heads,
            n_kv_heads=heads,
            head_dim=n_embd // heads,
            n_ff=c.integer("intermediate_size"),
            n_token_types=c.optional("type_vocab_size") or 0,
            n_positions=positions,
            n_labels=1 if _is_classifier(c.data) else 0,
        )

    return build


def _is_classifier(data: Mapping[str, Any]) -> bool:
    names = data.get("architectures") or ()
    return any(str(name).endswith("ForSequenceClassification") for name in names)


BUILDERS: Final[Mapping[str, Builder]] = {
    "llama": _llama,
    "mistral": _llama,
    "mixtral": _llama,
    "ministral3": _llama,
    "mistral3": _llama,
    "granite": _llama,
    "smollm3": _llama,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "qwen3_vl_text": _qwen3,
    "qwen3_moe": _qwen3_moe,
    "qwen3_vl_moe_text": _qwen3_moe,
    "qwen3_next": _qwen_hybrid,
    "qwen3_5": _qwen_hybrid,
    "qwen3_5_text": _qwen_hybrid,
    "qwen3_5_moe": _qwen_hybrid,
    "qwen3_5_moe_text": _qwen_hybrid,
    "gemma": _gemma("gemma", None),
    "gemma2": _gemma("gemma2", "sf"),
    "gemma3": _gemma("gemma3", "sssssf"),
    "gemma3_text": _gemma("gemma3", "sssssf"),
    "gemma4": _gemma4,
    "gemma4_text": _gemma4,
    "gemma4_unified": _gemma4,
    "gemma4_unified_text": _gemma4,
    "phi3": _phi3,
    "gpt_oss": _gpt_oss,
    "deepseek_v2": _deepseek,
    "deepseek_v3": _deepseek,
    "glm4_moe_lite": _deepseek,
    "kimi_k2": _deepseek,
    "granitemoehybrid": _granite_hybrid,
    "lfm2": _lfm2,
    "lfm2_moe": _lfm2,
    "exaone4": _exaone4,
    "nomic_bert": _nomic_bert,
    "bert": _bert(0),
    "xlm-roberta": _bert(_ROBERTA_PADDING),
    "roberta": _bert(_ROBERTA_PADDING),
    "mpnet": _bert(_ROBERTA_PADDING),
}
