"""Large mixtures of experts and sparse attention: what their configs say, and what their makers publish.

Dimensions: the config.json files on the Hugging Face hub (meta-llama, zai-org's GLM-5, deepseek-ai,
MiniMaxAI, XiaomiMiMo, moonshotai's Kimi-K3, read 2026-11-21); what public repositories quote of the
config.json of Step 3.5, GLM 4.5 Air and GLM 4.6, dots.llm1, ERNIE 4.5 21B, Hunyuan A13B, Kimi Linear,
K-EXAONE, Ling Lite 1.5, Ling Mini 2.0, Phi 3.5 MoE, Qwen 1.5 MoE and Hunyuan 7B (read 2026-11-21). Mistral
Small 4 and ERNIE 4.5 0.3B were recalled, and stand because the parameters that follow from them are the
published ones. Parameters: the models' names and cards. Makers round, and count image towers, prediction
blocks and embeddings in or out, so that these agree to a few per cent only; llama.cpp's own plan is the
exact check.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

S, F = "sliding_attention", "full_attention"
_LLAMA3_ROPE: Final = {"rope_type": "llama3", "factor": 16.0}
_LONGROPE: Final = {"type": "longrope"}


class Mixture(NamedTuple):
    """A model as its maker describes it."""

    config: dict[str, Any]
    n_params: float
    """Billions of parameters."""
    n_active: float | None
    """Of those, what a token passes through; None where no figure of the maker's was found."""


def _model(
    model_type: str, n: int, layers: int, heads: int, kv: int, ff: int, vocab: int, **extra: Any
) -> dict[str, Any]:
    return {
        "model_type": model_type,
        "hidden_size": n,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "intermediate_size": ff,
        "vocab_size": vocab,
        "max_position_embeddings": 131072,
        "tie_word_embeddings": False,
        **extra,
    }


def _routed(n: int, used: int, ff: int, dense: int, shared: int = 1) -> dict[str, Any]:
    """Experts under DeepSeek's names."""
    return {
        "n_routed_experts": n,
        "num_experts_per_tok": used,
        "moe_intermediate_size": ff,
        "first_k_dense_replace": dense,
        "n_shared_experts": shared,
        "topk_method": "noaux_tc",
    }


def _latent(q: int | None, kv: int, nope: int, rope: int, v: int) -> dict[str, Any]:
    return {
        "q_lora_rank": q,
        "kv_lora_rank": kv,
        "qk_nope_head_dim": nope,
        "qk_rope_head_dim": rope,
        "v_head_dim": v,
    }


def _index(heads: int, top_k: int) -> dict[str, Any]:
    return {"index_n_heads": heads, "index_head_dim": 128, "index_topk": top_k}


def _llama4(experts: int, step: int, **extra: Any) -> dict[str, Any]:
    return _model(
        "llama4_text",
        5120,
        48,
        40,
        8,
        8192,
        202048,
        head_dim=128,
        attention_chunk_size=8192,
        intermediate_size_mlp=16384,
        interleave_moe_layer_step=step,
        num_local_experts=experts,
        num_experts_per_tok=1,
        **extra,
    )


def _glm5(**extra: Any) -> dict[str, Any]:
    return _model(
        "glm_moe_dsa",
        6144,
        78,
        64,
        64,
        12288,
        154880,
        num_nextn_predict_layers=1,
        **_routed(256, 8, 2048, 3),
        **_latent(2048, 512, 192, 64, 256),
        **_index(32, 2048),
        **extra,
    )


def _deepseek4(n: int, layers: int, heads: int, ratios: list[int], **extra: Any) -> dict[str, Any]:
    config = _model("deepseek_v4", n, layers, heads, 1, 0, 129280, head_dim=512)
    del config["intermediate_size"]
    return config | {
        "compress_ratios": ratios,
        "sliding_window": 128,
        "qk_rope_head_dim": 64,
        "o_lora_rank": 1024,
        "num_hash_layers": 3,
        "hc_mult": 4,
        "num_nextn_predict_layers": 1,
        **extra,
    }


def _kimi(
    n: int, layers: int, heads: int, ff: int, q: int | None, full: list[int], **extra: Any
) -> dict[str, Any]:
    """Kimi Linear and K3; `full` numbers the layers of latent attention from 1."""
    delta = [i for i in range(1, layers + 1) if i not in full]
    return _model("kimi_linear", n, layers, heads, heads, ff, 163840, **_latent(q, 512, 128, 64, 128)) | {
        "linear_attn_config": {
            "full_attn_layers": full,
            "kda_layers": delta,
            "head_dim": 128,
            "num_heads": heads,
            "short_conv_kernel_size": 4,
            "use_full_rank_gate": True,
        },
        "first_k_dense_replace": 1,
        **extra,
    }


_MIMO_FULL: Final = {0, *range(5, 48, 6)}
_STEP_KINDS: Final = [F, S, S, S] * 12
_M3_SPARSE: Final = [0] * 3 + [1] * 57

MIXTURES: Final = {
    "llama-4-scout": Mixture(_llama4(16, 1, rope_scaling=_LLAMA3_ROPE), 109, 17),
    "llama-4-maverick": Mixture(_llama4(128, 2), 400, 17),
    "glm-4.5-air": Mixture(
        _model(
            "glm4_moe",
            4096,
            46,
            96,
            8,
            10944,
            151552,
            head_dim=128,
            attention_bias=True,
            num_nextn_predict_layers=1,
            **_routed(128, 8, 1408, 1),
        ),
        106,
        12,
    ),
    "glm-4.6": Mixture(
        _model(
            "glm4_moe",
            5120,
            92,
            96,
            8,
            12288,
            151552,
            head_dim=128,
            attention_bias=True,
            use_qk_norm=True,
            **_routed(160, 8, 1536, 3),
        ),
        355,
        32,
    ),
    "glm-5": Mixture(_glm5(), 744, 40),
    "glm-5.2": Mixture(
        _glm5(
            max_position_embeddings=1048576,
            indexer_types=["full"] * 2 + ["full", "shared", "shared", "shared"] * 19,
        ),
        744,
        40,
    ),
    "deepseek-v3.2": Mixture(
        _model(
            "deepseek_v32",
            7168,
            61,
            128,
            128,
            18432,
            129280,
            num_nextn_predict_layers=1,
            **_routed(256, 8, 2048, 3),
            **_latent(1536, 512, 128, 64, 128),
            **_index(64, 2048),
        ),
        671,
        37,
    ),
    "deepseek-v4-flash": Mixture(
        _deepseek4(
            4096,
            43,
            64,
            [0, 0, *[4, 128] * 20, 4, 0],
            q_lora_rank=1024,
            o_groups=8,
            **_routed(256, 6, 2048, 0),
            **_index(64, 512),
        ),
        284,
        13,
    ),
    "deepseek-v4-pro": Mixture(
        _deepseek4(
            7168,
            61,
            128,
            [128, 128, *[4, 128] * 29, 4, 0],
            q_lora_rank=1536,
            o_groups=16,
            **_routed(384, 6, 3072, 0),
            **_index(64, 1024),
        ),
        1600,
        49,
    ),
    "minimax-m2.5": Mixture(
        _model(
            "minimax_m2",
            3072,
            62,
            48,
            8,
            1536,
            200064,
            head_dim=128,
            rotary_dim=64,
            num_local_experts=256,
            num_experts_per_tok=8,
        ),
        230,
        10,
    ),
    "minimax-m3": Mixture(
        _model(
            "minimax_m3",
            6144,
            60,
            64,
            4,
            3072,
            200064,
            head_dim=128,
            rotary_dim=64,
            dense_intermediate_size=12288,
            num_local_experts=128,
            num_experts_per_tok=4,
            n_shared_experts=1,
            moe_layer_freq=_M3_SPARSE,
            sparse_attention_config={
                "sparse_attention_freq": _M3_SPARSE,
                "sparse_index_dim": 128,
                "sparse_num_index_heads": 4,
                "sparse_topk_blocks": 16,
            },
        ),
        428,
        23,
    ),
    "mimo-v2-flash": Mixture(
        _model(
            "mimo_v2_flash",
            4096,
            48,
            64,
            4,
            16384,
            152576,
            head_dim=192,
            v_head_dim=128,
            sliding_window=128,
            swa_num_attention_heads=64,
            swa_num_key_value_heads=8,
            swa_head_dim=192,
            swa_v_head_dim=128,
            add_swa_attention_sink_bias=True,
            add_full_attention_sink_bias=False,
            hybrid_layer_pattern=[0 if i in _MIMO_FULL else 1 for i in range(48)],
            moe_layer_freq=[0] + [1] * 47,
            **_routed(256, 8, 2048, 1, 0),
        ),
        309,
        15,
    ),
    "step-3.5-flash": Mixture(
        _model(
            "step3p5",
            4096,
            45,
            64,
            8,
            11264,
            128896,
            head_dim=128,
            num_attention_groups=8,
            attention_other_setting={"num_attention_heads": 96, "num_attention_groups": 8},
            use_head_wise_attn_gate=True,
            use_qk_norm=True,
            use_moe_router_bias=True,
            sliding_window=512,
            layer_types=_STEP_KINDS,
            moe_num_experts=288,
            moe_top_k=8,
            moe_intermediate_size=1280,
            share_expert_dim=1280,
            moe_layers_enum=",".join(map(str, range(3, 45))),
            num_nextn_predict_layers=3,
            rope_scaling=_LLAMA3_ROPE,
        ),
        196,
        11,
    ),
    "kimi-linear-48b-a3b": Mixture(
        _kimi(
            2304,
            27,
            32,
            9216,
            None,
            [4, 8, 12, 16, 20, 24, 27],
            moe_intermediate_size=1024,
            num_experts=256,
            num_experts_per_token=8,
            num_shared_experts=1,
        ),
        48,
        3,
    ),
    "kimi-k3": Mixture(
        _kimi(
            7168,
            93,
            96,
            33792,
            1536,
            [*range(4, 93, 4), 93],
            moe_intermediate_size=3072,
            num_experts=896,
            num_experts_per_token=16,
            num_shared_experts=2,
            routed_expert_hidden_size=3584,
            attn_res_block_size=12,
            mla_use_nope=True,
            mla_use_output_gate=True,
            latent_moe_use_norm=True,
        ),
        2800,
        None,
    ),
    "mistral-small-4": Mixture(
        _model(
            "mistral4",
            4096,
            36,
            32,
            32,
            12288,
            131072,
            **_routed(128, 4, 2048, 0),
            **_latent(1024, 256, 64, 64, 128),
        )
        | {"topk_method": None},
        119,
        6.5,
    ),
    "qwen1.5-moe-a2.7b": Mixture(
        _model(
            "qwen2_moe",
            2048,
            24,
            16,
            16,
            5632,
            151936,
            num_experts=60,
            num_experts_per_tok=4,
            moe_intermediate_size=1408,
            shared_expert_intermediate_size=5632,
        ),
        14.3,
        2.7,
    ),
    "phi-3.5-moe": Mixture(
        _model(
            "phimoe",
            4096,
            32,
            32,
            8,
            6400,
            32064,
            num_local_experts=16,
            num_experts_per_tok=2,
            attention_bias=True,
            lm_head_bias=True,
            rope_scaling=_LONGROPE,
        ),
        42,
        6.6,
    ),
    "dots.llm1": Mixture(
        _model("dots1", 4096, 62, 32, 32, 10944, 152064, head_dim=128, **_routed(128, 6, 1408, 1, 2)), 142, 14
    ),
    "ernie-4.5-0.3b": Mixture(
        _model("ernie4_5", 1024, 18, 16, 2, 3072, 103424, head_dim=128, tie_word_embeddings=True), 0.36, 0.36
    ),
    "ernie-4.5-21b-a3b": Mixture(
        _model(
            "ernie4_5_moe",
            2560,
            28,
            20,
            4,
            12288,
            103424,
            tie_word_embeddings=True,
            moe_num_experts=64,
            moe_k=6,
            moe_intermediate_size=1536,
            moe_num_shared_experts=2,
            moe_layer_start_index=1,
            moe_layer_interval=1,
        ),
        21,
        3,
    ),
    "hunyuan-7b": Mixture(
        _model("hunyuan_v1_dense", 4096, 32, 32, 8, 14336, 128167, head_dim=128, tie_word_embeddings=True),
        7.5,
        7.5,
    ),
    "hunyuan-a13b": Mixture(
        _model(
            "hunyuan_v1_moe",
            4096,
            32,
            32,
            8,
            3072,
            128167,
            head_dim=128,
            tie_word_embeddings=True,
            num_experts=64,
            moe_topk=[8] * 32,
            moe_intermediate_size=[3072] * 32,
            num_shared_expert=[1] * 32,
        ),
        80,
        13,
    ),
    "k-exaone-236b-a23b": Mixture(
        _model(
            "exaone_moe",
            6144,
            48,
            64,
            8,
            18432,
            153600,
            head_dim=128,
            layer_types=[S, S, S, F] * 12,
            sliding_window=128,
            num_experts=128,
            num_experts_per_tok=8,
            moe_intermediate_size=2048,
            num_shared_experts=1,
            first_k_dense_replace=1,
            num_nextn_predict_layers=1,
        ),
        236,
        23,
    ),
    "ling-lite-1.5": Mixture(
        _model(
            "bailing_moe",
            2048,
            28,
            16,
            4,
            1408,
            126464,
            num_experts=64,
            num_experts_per_tok=6,
            num_shared_experts=2,
            moe_intermediate_size=1408,
            first_k_dense_replace=0,
        ),
        16.8,
        2.75,
    ),
    "ling-mini-2.0": Mixture(
        _model(
            "bailing_moe",
            2048,
            20,
            16,
            4,
            5120,
            157184,
            architectures=["BailingMoeV2ForCausalLM"],
            head_dim=128,
            num_experts=256,
            num_experts_per_tok=8,
            num_shared_experts=1,
            moe_intermediate_size=512,
            first_k_dense_replace=1,
        ),
        16,
        1.4,
    ),
}
