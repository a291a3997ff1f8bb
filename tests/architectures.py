"""Hyper-parameters of public models, as tables that the tests share: what a config.json would say.

From the models' public config.json files on the Hugging Face hub, read 2026-11-21.
"""

from __future__ import annotations

from typing import Any

from advisor.architecture import Architecture
from advisor.hf_config import architecture_of

_LLAMA3_ROPE = {"rope_type": "llama3", "factor": 8.0}


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


CONFIGS: dict[str, dict[str, Any]] = {
    "llama-3.1-8b": _dense("llama", 4096, 32, 32, 8, 14336, 128256, rope_scaling=_LLAMA3_ROPE),
    "llama-3.1-70b": _dense("llama", 8192, 80, 64, 8, 28672, 128256, rope_scaling=_LLAMA3_ROPE),
    "llama-3.2-3b": _dense(
        "llama",
        3072,
        28,
        24,
        8,
        8192,
        128256,
        head_dim=128,
        tie_word_embeddings=True,
        rope_scaling=_LLAMA3_ROPE,
    ),
    "mistral-7b": _dense("mistral", 4096, 32, 32, 8, 14336, 32000),
    "mixtral-8x7b": _dense(
        "mixtral", 4096, 32, 32, 8, 14336, 32000, num_local_experts=8, num_experts_per_tok=2
    ),
    "qwen2.5-0.5b": _dense("qwen2", 896, 24, 14, 2, 4864, 151936, tie_word_embeddings=True),
    "qwen2.5-7b": _dense("qwen2", 3584, 28, 28, 4, 18944, 152064),
    "qwen3-8b": _dense("qwen3", 4096, 36, 32, 8, 12288, 151936, head_dim=128),
    "qwen3-30b-a3b": _dense(
        "qwen3_moe",
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
    ),
    "gemma-2-9b": _dense(
        "gemma2", 3584, 42, 16, 8, 14336, 256000, head_dim=256, sliding_window=4096, tie_word_embeddings=True
    ),
    "gemma-3-12b": _dense(
        "gemma3_text",
        3840,
        48,
        16,
        8,
        15360,
        262208,
        head_dim=256,
        sliding_window=1024,
        tie_word_embeddings=True,
    ),
    "gemma-4-e2b": _dense(
        "gemma4_text",
        1536,
        35,
        8,
        1,
        6144,
        262144,
        head_dim=256,
        global_head_dim=512,
        sliding_window=512,
        num_kv_shared_layers=20,
        hidden_size_per_layer_input=256,
        use_double_wide_mlp=True,
        tie_word_embeddings=True,
        layer_types=(["sliding_attention"] * 4 + ["full_attention"]) * 7,
    ),
    "phi-4-mini": _dense(
        "phi3",
        3072,
        32,
        24,
        8,
        8192,
        200064,
        partial_rotary_factor=0.75,
        tie_word_embeddings=True,
        rope_scaling={"type": "longrope"},
    ),
    "gpt-oss-20b": _dense(
        "gpt_oss",
        2880,
        24,
        64,
        8,
        2880,
        201088,
        head_dim=64,
        num_local_experts=32,
        num_experts_per_tok=4,
        sliding_window=128,
        layer_types=["sliding_attention", "full_attention"] * 12,
    ),
    "deepseek-v2-lite": _dense(
        "deepseek_v2",
        2048,
        27,
        16,
        16,
        10944,
        102400,
        q_lora_rank=None,
        kv_lora_rank=512,
        qk_nope_head_dim=128,
        qk_rope_head_dim=64,
        v_head_dim=128,
        n_routed_experts=64,
        n_shared_experts=2,
        num_experts_per_tok=6,
        first_k_dense_replace=1,
        moe_intermediate_size=1408,
    ),
    "granite-4.0-h-tiny": _dense(
        "granitemoehybrid",
        1536,
        40,
        12,
        4,
        512,
        100352,
        shared_intermediate_size=1024,
        num_local_experts=64,
        num_experts_per_tok=6,
        mamba_n_heads=48,
        mamba_d_head=64,
        mamba_d_state=128,
        mamba_n_groups=1,
        mamba_d_conv=4,
        tie_word_embeddings=True,
        layer_types=(["mamba"] * 5 + ["attention"] + ["mamba"] * 4) * 4,
    ),
    "qwen3.5-0.8b": _dense(
        "qwen3_5_text",
        1024,
        24,
        8,
        2,
        3584,
        248320,
        head_dim=256,
        tie_word_embeddings=True,
        full_attention_interval=4,
        linear_conv_kernel_dim=4,
        linear_key_head_dim=128,
        linear_num_key_heads=16,
        linear_num_value_heads=16,
        linear_value_head_dim=128,
        mtp_num_hidden_layers=1,
    ),
    "nomic-embed-text-v1.5": {
        "model_type": "nomic_bert",
        "n_embd": 768,
        "n_inner": 3072,
        "n_layer": 12,
        "n_head": 12,
        "n_positions": 8192,
        "vocab_size": 30522,
    },
    "all-minilm-l6-v2": {
        "model_type": "bert",
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
        "vocab_size": 30522,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
    },
}


def architecture(name: str) -> Architecture:
    """The architecture of one of the tables."""
    return architecture_of(CONFIGS[name])
