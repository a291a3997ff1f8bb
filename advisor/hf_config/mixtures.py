"""Mixtures of experts with ordinary attention, each under its maker's names."""

from __future__ import annotations

from advisor.architecture import Architecture, Moe
from advisor.errors import ConfigError
from advisor.hf_config.decoder import decoder
from advisor.hf_config.deepseek import routed_and_shared
from advisor.hf_config.llama import rope_factors
from advisor.hf_config.reader import Config
from advisor.i18n import _


def glm4_moe(c: Config) -> Architecture:
    """GLM 4.5, 4.6 and 4.7, and their Air versions."""
    moe = routed_and_shared(c).model_copy(update={"selection_bias": True})
    return decoder(
        c,
        "glm4moe",
        moe=moe,
        qkv_bias=c.flag("attention_bias", False),
        qk_norm=c.flag("use_qk_norm", False),
        n_mtp_layers=c.optional("num_nextn_predict_layers") or 0,
        n_rot=int(c.integer("head_dim") * c.fraction("partial_rotary_factor", 0.5)),
    )


def dots1(c: Config) -> Architecture:
    """The dots.llm1 of rednote."""
    return decoder(c, "dots1", moe=routed_and_shared(c), qkv_bias=c.flag("attention_bias", False))


def qwen2_moe(c: Config) -> Architecture:
    """Qwen1.5 MoE and Qwen2 57B."""
    moe = Moe(
        n_experts=c.integer("num_experts"),
        n_experts_used=c.integer("num_experts_per_tok"),
        n_ff=c.integer("moe_intermediate_size"),
        n_ff_shared=c.integer("shared_expert_intermediate_size"),
    )
    return decoder(c, "qwen2moe", moe=moe, n_ff=0)


def phimoe(c: Config) -> Architecture:
    """Phi 3.5 MoE: norms, attention and logits with biases."""
    if not c.flag("attention_bias", False) or not c.flag("lm_head_bias", False):
        raise ConfigError(
            _("config.json: llama.cpp needs attention_bias and lm_head_bias, which are not set")
        )
    rope = c.mapping("rope_scaling")
    moe = Moe(
        n_experts=c.integer("num_local_experts"),
        n_experts_used=c.integer("num_experts_per_tok"),
        n_ff=c.integer("intermediate_size"),
    )
    longrope = rope.get("type", rope.get("rope_type")) == "longrope"
    return decoder(c, "phimoe", moe=moe, n_ff=0, rope_factors="longrope" if longrope else "none")


def exaone_moe(c: Config) -> Architecture:
    """K-EXAONE: EXAONE 4's windows over experts."""
    n_layers, n_ff = c.layers("num_hidden_layers"), c.integer("moe_intermediate_size")
    return decoder(
        c,
        "exaone-moe",
        layer_pattern=c.pattern(n_layers),
        n_swa=c.integer("sliding_window"),
        rope_factors=rope_factors(c),
        moe=Moe(
            n_experts=c.integer("num_experts"),
            n_experts_used=c.integer("num_experts_per_tok"),
            n_ff=n_ff,
            n_ff_shared=n_ff * c.count("num_shared_experts"),
            n_layers_dense=c.count("first_k_dense_replace", "first_last_k_dense_replace"),
            selection_bias=True,
        ),
        n_mtp_layers=c.optional("num_nextn_predict_layers") or 0,
    )


def ernie4_5(c: Config) -> Architecture:
    """Baidu's ERNIE 4.5, dense."""
    _refuse_biases(c)
    return decoder(c, "ernie4_5", tied_default=True)


def ernie4_5_moe(c: Config) -> Architecture:
    """ERNIE 4.5, mixture of experts."""
    _refuse_biases(c)
    if c.integer("moe_layer_interval") != 1:
        raise ConfigError(_("config.json: moe_layer_interval is not 1, for which there are no rules"))
    n_ff = c.integer("moe_intermediate_size")
    moe = Moe(
        n_experts=c.integer("moe_num_experts"),
        n_experts_used=c.integer("moe_k"),
        n_ff=n_ff,
        n_ff_shared=n_ff * (c.optional("moe_num_shared_experts") or 0),
        n_layers_dense=c.count("moe_layer_start_index"),
        selection_bias=True,
    )
    return decoder(c, "ernie4_5-moe", tied_default=True, moe=moe)


def hunyuan_dense(c: Config) -> Architecture:
    """Tencent's Hunyuan, 0.5B to 7B."""
    return decoder(c, "hunyuan-dense")


def hunyuan_moe(c: Config) -> Architecture:
    """Hunyuan A13B: experts in every layer, all of one width."""
    n_ff = c.uniform("moe_intermediate_size")
    moe = Moe(
        n_experts=c.uniform("num_experts"),
        n_experts_used=c.uniform("moe_topk"),
        n_ff=n_ff,
        n_ff_shared=n_ff * c.uniform("num_shared_expert"),
    )
    return decoder(c, "hunyuan-moe", moe=moe, n_ff=0)


def bailing_moe(c: Config) -> Architecture:
    """Ling and Ring 1; the configs of their second version give the same model_type."""
    if "BailingMoeV2ForCausalLM" in c.architectures:
        return bailing_moe_v2(c)
    _refuse_biases(c)
    return decoder(c, "bailingmoe", moe=_bailing(c))


def bailing_moe_v2(c: Config) -> Architecture:
    """Ling and Ring 2: norms over Q and K, and a biased choice of experts."""
    _refuse_biases(c)
    moe = _bailing(c).model_copy(update={"selection_bias": True})
    mtp = c.optional("num_nextn_predict_layers") or 0
    return decoder(c, "bailingmoe2", moe=moe, n_mtp_layers=mtp)


def _bailing(c: Config) -> Moe:
    n_ff = c.integer("moe_intermediate_size")
    return Moe(
        n_experts=c.integer("num_experts"),
        n_experts_used=c.integer("num_experts_per_tok"),
        n_ff=n_ff,
        n_ff_shared=n_ff * c.count("num_shared_experts"),
        n_layers_dense=c.count("first_k_dense_replace"),
    )


def _refuse_biases(c: Config) -> None:
    for name in ("use_bias", "use_qkv_bias"):
        if c.flag(name, False):
            raise ConfigError(_("config.json: {name} is set, for which there are no rules").format(name=name))
