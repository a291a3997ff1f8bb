"""DeepSeek V2 to V4, and what shares their attention: Kimi K2, GLM 4.7 Flash and 5, Mistral Small 4."""

from __future__ import annotations

from typing import Any, Final

from advisor.architecture import Architecture, CompressedAttention, Indexer, Mla, Moe
from advisor.errors import ConfigError
from advisor.hf_config.decoder import decoder
from advisor.hf_config.reader import Config
from advisor.i18n import _

_RATIOS: Final = (0, 4, 128)
"""Tokens a summary that llama.cpp knows; only those of 4 have an index."""
_INDEXED_RATIO: Final = 4


def routed_and_shared(c: Config) -> Moe:
    """Routed and shared experts of one width, under DeepSeek's names."""
    return Moe(
        n_experts=c.integer("n_routed_experts"),
        n_experts_used=c.integer("num_experts_per_tok"),
        n_ff=c.integer("moe_intermediate_size"),
        n_ff_shared=c.integer("moe_intermediate_size") * (c.optional("n_shared_experts") or 0),
        n_layers_dense=c.optional("first_k_dense_replace") or 0,
        selection_bias=c.data.get("topk_method") == "noaux_tc",
    )


def latent(c: Config) -> Mla:
    """The dimensions of latent attention."""
    return Mla(
        q_lora_rank=c.optional("q_lora_rank"),
        kv_lora_rank=c.integer("kv_lora_rank"),
        qk_nope_head_dim=c.integer("qk_nope_head_dim"),
        qk_rope_head_dim=c.integer("qk_rope_head_dim"),
        v_head_dim=c.integer("v_head_dim"),
    )


def deepseek(c: Config) -> Architecture:
    """Latent attention over routed and shared experts."""
    c.count("first_k_dense_replace")
    # The converter drops the prediction blocks of all of them but GLM 4.7 Flash.
    n_mtp = _n_mtp(c) if c.data["model_type"] == "glm4_moe_lite" else 0
    return _latent_decoder(c, "deepseek2", n_mtp_layers=n_mtp)


def deepseek_v32(c: Config) -> Architecture:
    """DeepSeek V3.2: an index in every layer chooses what is attended to."""
    return _latent_decoder(c, "deepseek32", indexer=_indexer(c), n_mtp_layers=_n_mtp(c))


def glm_moe_dsa(c: Config) -> Architecture:
    """GLM 5 and 5.1 the same; in 5.2 most layers use an earlier layer's choice."""
    if c.data.get("indexer_types") is None:
        return _latent_decoder(c, "glm-dsa", indexer=_indexer(c), n_mtp_layers=_n_mtp(c))
    types = c.by_layer("indexer_types", c.layers("num_hidden_layers"))
    unknown = sorted({str(kind) for kind in types} - {"full", "shared"})
    if unknown:
        raise ConfigError(_("config.json: unknown indexer type {unknown!r}").format(unknown=unknown[0]))
    in_layers = tuple(kind == "full" for kind in types)
    indexer = _indexer(c, in_layers=in_layers)
    return _latent_decoder(c, "glm-dsa", indexer=indexer, n_mtp_layers=_n_mtp(c))


def mistral4(c: Config) -> Architecture:
    """Mistral Small 4: DeepSeek's layers under Mistral's name."""
    return _latent_decoder(c, "mistral4")


def _latent_decoder(c: Config, family: str, **extra: Any) -> Architecture:
    mla, moe = latent(c), routed_and_shared(c)
    return decoder(
        c,
        family,
        moe=moe,
        mla=mla,
        head_dim=mla.qk_nope_head_dim + mla.qk_rope_head_dim,
        n_ff=c.integer("intermediate_size") if moe.n_layers_dense else 0,
        **extra,
    )


def _n_mtp(c: Config) -> int:
    return c.optional("num_nextn_predict_layers") or 0


def _indexer(c: Config, **extra: Any) -> Indexer:
    return Indexer(
        n_heads=c.integer("index_n_heads"),
        head_dim=c.integer("index_head_dim"),
        top_k=c.integer("index_topk"),
        **extra,
    )


def deepseek_v4(c: Config) -> Architecture:
    """DeepSeek V4: a window of single keys, summaries of what is older, and several residual streams."""
    ratios = _ratios(c, c.layers("num_hidden_layers"))
    moe = routed_and_shared(c).model_copy(update={"n_layers_hashed": c.count("num_hash_layers")})
    return decoder(
        c,
        "deepseek4",
        layer_pattern="s",
        n_swa=c.integer("sliding_window"),
        n_ff=0,
        n_rot=c.integer("qk_rope_head_dim"),
        moe=moe,
        compressed=CompressedAttention(
            q_lora_rank=c.integer("q_lora_rank"),
            o_lora_rank=c.integer("o_lora_rank"),
            o_groups=c.integer("o_groups"),
            ratios=ratios,
        ),
        indexer=_indexer(c, in_layers=tuple(ratio == _INDEXED_RATIO for ratio in ratios)),
        n_hyper_connections=c.integer("hc_mult"),
        n_mtp_layers=_n_mtp(c),
    )


def _ratios(c: Config, n_layers: int) -> tuple[int, ...]:
    """Tokens a summary, layer by layer."""
    given = c.by_layer("compress_ratios", n_layers)
    unknown = [ratio for ratio in given if ratio not in _RATIOS]
    if unknown:
        raise ConfigError(
            _("config.json: compress_ratios has {unknown!r}, which llama.cpp does not know").format(
                unknown=unknown[0]
            )
        )
    return tuple(given)
