"""Models of many families: what their config.json files say, and the parameters that their makers publish.

Dimensions: Nemotron-H and 3, the config.json files on the Hugging Face hub (nvidia/…, read 2026-11-21);
StarCoder 2, ModernBERT, EuroBERT, Command R and Gemma 3n, the defaults of their configuration classes in
transformers 5.23.0, which are those models; Falcon-H1, Seed-OSS, Granite 3.1, EXAONE, Jamba 1.5 Mini,
OLMoE, InternLM 2.5 and 3, and GLM-4-9B, what public repositories quote from their config.json. The others
were recalled, and stand because the parameters that follow from them are the published ones. Parameters:
the models' names and cards, rounded as here, without an image, audio, prediction or adapter part.
"""

from __future__ import annotations

from typing import Any, Final

from published_encoders import ENCODERS, Published

S, F = "sliding_attention", "full_attention"
_LLAMA3_ROPE: Final = {"rope_type": "llama3", "factor": 8.0}


def _dense(
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


def _nemotron_h(
    n: int, heads: int, kv: int, mamba_heads: int, d_state: int, blocks: Any, **extra: Any
) -> Any:
    return {
        "model_type": "nemotron_h",
        "hidden_size": n,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "head_dim": 128,
        "vocab_size": 131072,
        "max_position_embeddings": 262144,
        "mamba_num_heads": mamba_heads,
        "mamba_head_dim": 64,
        "ssm_state_size": d_state,
        "n_groups": 8,
        "conv_kernel": 4,
        "tie_word_embeddings": False,
        **blocks,
        **extra,
    }


def _experts(n: int, used: int, ff: int, shared: int) -> dict[str, Any]:
    return {
        "n_routed_experts": n,
        "num_experts_per_tok": used,
        "moe_intermediate_size": ff,
        "moe_shared_expert_intermediate_size": shared,
    }


_PRUNED_FFN: Final = (
    *(2.625, 5.25, 5.25, 5.25, 5.25, 5.25, 2.625, 2.625, 5.25, 5.25, 5.25, 3.28125),
    *(5.25,) * 30,
    *(1.3125, 2.625, 2.625, 1.3125, 5.25, 1.3125, 2.625, 1.3125, 1.3125, 1.3125, 5.25, 1.3125),
    *(1.0, 1.0, 1.3125, 1.0, 1.0, 1.0, 1.3125, 1.3125, 0.5, 0.5, 1.0, 1.0, 0.5, 0.5, 1.0, 0.5, 0.5),
    *(5.25,) * 9,
)
"""Multipliers of the feed-forward width, layer by layer."""
_PRUNED_ATTENTION: Final = {6, 7, 11, *range(42, 52), *range(53, 71)}
"""Layers that lost it."""


def _pruned_blocks() -> list[dict[str, Any]]:
    return [
        {
            "attention": {"n_heads_in_group": None if i in _PRUNED_ATTENTION else 8},
            "ffn": {"ffn_mult": mult},
        }
        for i, mult in enumerate(_PRUNED_FFN)
    ]


def _falcon_h1(d_ssm: int, heads: int, d_state: int, head_dim: int) -> dict[str, Any]:
    return {
        "head_dim": head_dim,
        "mamba_d_ssm": d_ssm,
        "mamba_n_heads": heads,
        "mamba_d_state": d_state,
        "mamba_n_groups": 1,
        "mamba_d_conv": 4,
        "mamba_rms_norm": False,
    }


def _gemma3n(layers: int, shared: int, ff: int) -> dict[str, Any]:
    return _dense(
        "gemma3n_text",
        2048,
        layers,
        8,
        2,
        ff,
        262400,
        intermediate_size=[ff] * layers,
        head_dim=256,
        hidden_size_per_layer_input=256,
        altup_num_inputs=4,
        laurel_rank=64,
        num_kv_shared_layers=shared,
        sliding_window=512,
        layer_types=([S] * 4 + [F]) * (layers // 5),
        tie_word_embeddings=True,
    )


_SUPER = (
    "MEMEMEM*EMEMEMEM*EMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEM*EMEMEMEME",
    "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
)
_NANO_LIST = [{"M": "mamba", "E": "moe", "*": "attention"}[letter] for letter in _SUPER[1]]
_QWEN3_VL_MOE = _dense(
    "qwen3_vl_moe_text",
    2048,
    48,
    32,
    4,
    6144,
    151936,
    head_dim=128,
    num_experts=128,
    num_experts_per_tok=8,
    moe_intermediate_size=768,
)
_DEEPSTACK = {"deepstack_visual_indexes": [8, 16, 24]}


PUBLISHED: Final = {
    "nemotron-3-nano-30b-a3b": Published(
        _nemotron_h(
            2688, 32, 2, 64, 128, {"hybrid_override_pattern": _SUPER[1]}, **_experts(128, 6, 1856, 3712)
        ),
        "31.6",
        "3.6",
    ),
    "nemotron-3.5-lightning-30b-a3b": Published(
        _nemotron_h(2688, 32, 2, 64, 128, {"layers_block_type": _NANO_LIST}, **_experts(128, 6, 1856, 3712)),
        "31.6",
        "3.6",
    ),
    "nemotron-3-super-120b-a12b": Published(
        _nemotron_h(
            4096,
            32,
            2,
            128,
            128,
            {"hybrid_override_pattern": _SUPER[0]},
            **_experts(512, 22, 2688, 5376),
            moe_latent_size=1024,
        ),
        "120.7",
        "12.8",
    ),
    "nemotron-h-8b": Published(
        _nemotron_h(
            4096,
            32,
            8,
            128,
            128,
            {"hybrid_override_pattern": "M-M-M-M*-" + "M-M-M-M-M*-" * 3 + "M-M-M-M-M-"},
            intermediate_size=21504,
        ),
        "8.1",
    ),
    "llama-3.3-nemotron-super-49b": Published(
        {
            **_dense("nemotron-nas", 8192, 80, 64, 8, 0, 128256, rope_scaling=_LLAMA3_ROPE),
            "block_configs": _pruned_blocks(),
        },
        "49.9",
    ),
    "minitron-4b": Published(
        _dense("nemotron", 3072, 32, 24, 8, 9216, 256000, head_dim=128, partial_rotary_factor=0.5), "4.19"
    ),
    "falcon-h1-tiny-90m": Published(
        _dense(
            "falcon_h1", 512, 24, 8, 2, 768, 32768, **_falcon_h1(768, 24, 64, 64), tie_word_embeddings=True
        ),
        "0.09",
    ),
    "falcon-h1-7b": Published(
        _dense("falcon_h1", 3072, 44, 12, 2, 12288, 130048, **_falcon_h1(3072, 24, 256, 128)), "7.59"
    ),
    "jamba-1.5-mini": Published(
        _dense(
            "jamba",
            4096,
            32,
            32,
            8,
            14336,
            65536,
            num_experts=16,
            num_experts_per_tok=2,
            attn_layer_period=8,
            attn_layer_offset=4,
            expert_layer_period=2,
            expert_layer_offset=1,
            mamba_d_state=16,
            mamba_d_conv=4,
            mamba_expand=2,
            mamba_dt_rank=256,
        ),
        "51.6",
        "12.1",
    ),
    "olmo-2-7b": Published(_dense("olmo2", 4096, 32, 32, 32, 11008, 100352), "7.30"),
    "olmo-3-32b": Published(
        _dense("olmo3", 5120, 64, 40, 8, 27648, 100278, sliding_window=4096, layer_types=[S, S, S, F] * 16),
        "32.2",
    ),
    "olmoe-1b-7b": Published(
        _dense("olmoe", 2048, 16, 16, 16, 1024, 50304, num_experts=64, num_experts_per_tok=8), "6.92", "1.28"
    ),
    "gemma-3n-e4b": Published(_gemma3n(35, 15, 16384), "6.87"),
    "gemma-3n-e2b": Published(_gemma3n(30, 10, 8192), "4.46"),
    "command-r": Published(_dense("cohere", 8192, 40, 64, 64, 22528, 256000), "35.0"),
    "command-r-plus": Published(_dense("cohere", 12288, 64, 96, 8, 33792, 256000, use_qk_norm=True), "104"),
    "command-r7b": Published(
        _dense("cohere2", 4096, 32, 32, 8, 14336, 256000, sliding_window=4096, sliding_window_pattern=4),
        "8.03",
    ),
    "command-a": Published(
        _dense(
            "cohere2", 12288, 64, 96, 8, 36864, 256000, sliding_window=4096, layer_types=[S, S, S, F] * 16
        ),
        "111",
    ),
    "granite-3.1-1b-a400m": Published(
        _dense(
            "granitemoe",
            1024,
            24,
            16,
            8,
            512,
            49155,
            num_local_experts=32,
            num_experts_per_tok=8,
            tie_word_embeddings=True,
        ),
        "1.33",
        "0.43",
    ),
    "granite-4.0-micro": Published(
        _dense(
            "granitemoehybrid",
            2560,
            40,
            40,
            8,
            8192,
            100352,
            shared_intermediate_size=8192,
            num_local_experts=0,
            layer_types=["attention"] * 40,
            tie_word_embeddings=True,
        ),
        "3.40",
    ),
    "phi-4": Published(_dense("phi3", 5120, 40, 40, 10, 17920, 100352), "14.7"),
    "seed-oss-36b": Published(
        _dense("seed_oss", 5120, 64, 80, 8, 27648, 155136, head_dim=128, attention_bias=True), "36.2"
    ),
    "stablelm-2-1.6b": Published(
        _dense("stablelm", 2048, 24, 32, 32, 5632, 100352, use_qkv_bias=True, partial_rotary_factor=0.25),
        "1.64",
    ),
    "starcoder2-3b": Published(
        _dense("starcoder2", 3072, 30, 24, 2, 12288, 49152, use_bias=True, tie_word_embeddings=True), "3.03"
    ),
    "internlm2.5-7b": Published(_dense("internlm2", 4096, 32, 32, 8, 14336, 92544), "7.74"),
    "internlm3-8b": Published(_dense("internlm3", 4096, 48, 32, 2, 10240, 128512, head_dim=128), "8.80"),
    "minicpm-2b": Published(
        _dense("minicpm", 2304, 40, 36, 36, 5760, 122753, tie_word_embeddings=True), "2.72"
    ),
    "minicpm4-8b": Published(
        _dense(
            "minicpm",
            4096,
            32,
            32,
            2,
            16384,
            73448,
            rope_scaling={"rope_type": "longrope", "long_factor": [1.0] * 64, "short_factor": [1.0] * 64},
        ),
        "8",
    ),
    "exaone-3.5-7.8b": Published(
        {**_dense("exaone", 4096, 0, 32, 8, 14336, 102400, rope_scaling=_LLAMA3_ROPE), "num_layers": 32},
        "7.82",
    ),
    "apertus-8b": Published(
        _dense("apertus", 4096, 32, 32, 8, 21504, 131072, rope_scaling=_LLAMA3_ROPE), "8.05"
    ),
    "afm-4.5b": Published(_dense("arcee", 2560, 36, 20, 4, 18432, 128004, head_dim=128), "4.62"),
    "glm-4-9b": Published(
        {
            "model_type": "chatglm",
            "num_layers": 40,
            "hidden_size": 4096,
            "num_attention_heads": 32,
            "multi_query_attention": True,
            "multi_query_group_num": 2,
            "kv_channels": 128,
            "ffn_hidden_size": 13696,
            "padded_vocab_size": 151552,
            "seq_length": 131072,
            "add_qkv_bias": True,
        },
        "9.40",
    ),
    "glm-4-9b-0414": Published(
        _dense(
            "glm4",
            4096,
            40,
            32,
            2,
            13696,
            151552,
            head_dim=128,
            attention_bias=True,
            partial_rotary_factor=0.5,
        ),
        "9.40",
    ),
    "qwen2.5-vl-7b": Published(_dense("qwen2_5_vl", 3584, 28, 28, 4, 18944, 152064), "7.62"),
    "qwen3-vl-8b": Published(
        {
            "model_type": "qwen3_vl",
            "vision_config": _DEEPSTACK,
            "text_config": _dense("qwen3_vl_text", 4096, 36, 32, 8, 12288, 151936, head_dim=128),
        },
        "8.19",
    ),
    "qwen3-vl-30b-a3b": Published(
        {"model_type": "qwen3_vl_moe", "vision_config": _DEEPSTACK, "text_config": _QWEN3_VL_MOE},
        "30.5",
        "3.4",
    ),
    "llama-embed-nemotron-8b": Published(
        _dense(
            "llama_bidirec",
            4096,
            32,
            32,
            8,
            14336,
            128256,
            architectures=["LlamaBidirectionalModel"],
            rope_scaling=_LLAMA3_ROPE,
        ),
        "7.5",
    ),
    "mistral-small-3.1": Published(
        {
            "model_type": "mistral3",
            "architectures": ["Mistral3ForConditionalGeneration"],
            "text_config": _dense("mistral", 5120, 40, 32, 8, 32768, 131072, head_dim=128),
        },
        "23.6",
    ),
    **ENCODERS,
}
"""Models of families that `architectures` has none of."""
