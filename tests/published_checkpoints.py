"""Checkpoints whose sizes are published: their shapes, quantization, total and where it was read."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, Literal, NamedTuple

from architectures import CONFIGS

DEEPSEEK_V3: dict[str, Any] = {
    # huggingface.co/deepseek-ai/DeepSeek-V3 config.json, read 2026-11-21
    "model_type": "deepseek_v3",
    "hidden_size": 7168,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "intermediate_size": 18432,
    "vocab_size": 129280,
    "max_position_embeddings": 163840,
    "tie_word_embeddings": False,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "first_k_dense_replace": 3,
    "moe_intermediate_size": 2048,
    "topk_method": "noaux_tc",
}
GLM_5_2: dict[str, Any] = {
    # huggingface.co/nvidia/GLM-5.2-NVFP4 config.json, read 2026-11-21
    **DEEPSEEK_V3,
    "model_type": "glm_moe_dsa",
    "hidden_size": 6144,
    "num_hidden_layers": 78,
    "num_attention_heads": 64,
    "num_key_value_heads": 64,
    "intermediate_size": 12288,
    "vocab_size": 154880,
    "max_position_embeddings": 1048576,
    "q_lora_rank": 2048,
    "qk_nope_head_dim": 192,
    "v_head_dim": 256,
    "scoring_func": "sigmoid",
    "index_head_dim": 128,
    "index_n_heads": 32,
    "index_topk": 2048,
    "indexer_types": ["full", "full", *(["full", "shared", "shared", "shared"] * 19)],
    "mlp_layer_types": ["dense"] * 3 + ["sparse"] * 75,
}
GENZ_70B = {**CONFIGS["llama-3.1-70b"], "vocab_size": 32000, "rope_scaling": None}
"""Llama 2 70B's shapes."""
GPT_OSS_120B = {
    **CONFIGS["gpt-oss-20b"],
    "num_hidden_layers": 36,
    "num_local_experts": 128,
    "layer_types": ["sliding_attention", "full_attention"] * 18,
}
QWEN_14B = {
    **CONFIGS["qwen2.5-7b"],
    "hidden_size": 5120,
    "num_hidden_layers": 48,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "intermediate_size": 13824,
}
QWEN3_32B = {
    **CONFIGS["qwen3-8b"],
    "hidden_size": 5120,
    "num_hidden_layers": 64,
    "num_attention_heads": 64,
    "intermediate_size": 25600,
}
FP8_BLOCKS = {"quant_method": "fp8", "weight_block_size": [128, 128], "activation_scheme": "dynamic"}
GPT_OSS = {
    "quant_method": "mxfp4",
    "modules_to_not_convert": [
        "model.layers.*.self_attn",
        "model.layers.*.mlp.router",
        "model.embed_tokens",
        "lm_head",
    ],
}
GLM_NVFP4 = {
    "quant_algo": "NVFP4",
    "kv_cache_quant_algo": "FP8",
    "group_size": 16,
    "exclude_modules": [
        *("lm_head", "model.embed_tokens", "model.layers.0*", "model.layers.1.*", "model.layers.2.*"),
        *(f"model.layers.{i}.{part}*" for i in range(3, 78) for part in ("self_attn", "mlp.shared_experts")),
    ],
}


class Published(NamedTuple):
    """A checkpoint whose size is known, and what it holds beside the language model's layers."""

    config: Mapping[str, Any]
    quantization: Mapping[str, Any] | None
    total: int
    source: str
    prediction_layer: Literal["none", "quantized", "plain"] = "none"
    """A multi-token-prediction block, which has one layer more, and how that layer is stored."""
    beside: int = 0
    """Other bytes that this program leaves out or counts otherwise, worked out by hand."""
    tolerance: float = 1e-8


def _bf16(*shapes: tuple[int, ...]) -> int:
    return sum(2 * prod(shape) for shape in shapes)


# A prediction block also has a projection of two embeddings and three norms; in DeepSeek's checkpoints the
# embedding and the output matrix again; in GLM's an indexer (two projections, its heads' weights, a norm).
_DEEPSEEK_PREDICTION = _bf16((7168, 14336), (3, 7168), (2, 129280, 7168))
_GLM_PREDICTION = _bf16((6144, 12288), (3, 6144), (6144, 128), (2048, 4096), (6144, 32), (2, 128))
# Inferred from the size: AutoGPTQ of 2023 stored a bias of zeros for every matrix.
_ZERO_BIASES = 80 * _bf16((8192 + 1024 + 1024 + 8192 + 28672 + 28672 + 8192,))
_FILES = 3e-5
"""Tolerance where the total is that of whole files: their headers take about 120 bytes a tensor."""

_HUB = "huggingface.co/{} model.safetensors.index.json as public repositories quote it, read 2026-11-21"
PUBLISHED = {
    "Llama 3.1 8B, BF16": Published(
        CONFIGS["llama-3.1-8b"], None, 16_060_522_496, _HUB.format("meta-llama/Llama-3.1-8B")
    ),
    "Qwen2 7B, BF16": Published(
        CONFIGS["qwen2.5-7b"], None, 15_231_233_024, _HUB.format("Qwen/Qwen2-7B-Instruct")
    ),
    "Qwen2.5 14B, BF16": Published(QWEN_14B, None, 29_540_067_328, _HUB.format("Qwen/Qwen2.5-14B")),
    "Qwen3 8B, BF16": Published(CONFIGS["qwen3-8b"], None, 16_381_470_720, _HUB.format("Qwen/Qwen3-8B")),
    "Qwen3 32B, BF16": Published(QWEN3_32B, None, 65_524_246_528, _HUB.format("Qwen/Qwen3-32B")),
    "Qwen3 30B-A3B, BF16": Published(
        CONFIGS["qwen3-30b-a3b"],
        None,
        61_064_245_248,
        "an index of 128 experts that a public repository quotes, read 2026-11-21; the model is inferred",
    ),
    "gpt-oss 20B, MXFP4": Published(
        CONFIGS["gpt-oss-20b"], GPT_OSS, 13_761_264_768, _HUB.format("openai/gpt-oss-20b")
    ),
    "gpt-oss 120B, MXFP4": Published(
        GPT_OSS_120B, GPT_OSS, 65_248_815_744, _HUB.format("openai/gpt-oss-120b")
    ),
    "DeepSeek V3, FP8 blocks": Published(
        DEEPSEEK_V3,
        FP8_BLOCKS,
        688_586_727_753,
        "huggingface.co/deepseek-ai/DeepSeek-V3 @afb92e1, its weight files, as public repositories quote it",
        prediction_layer="quantized",
        beside=_DEEPSEEK_PREDICTION,
        tolerance=_FILES,
    ),
    "DeepSeek V3, AWQ of groups of 64": Published(
        DEEPSEEK_V3,
        {"quant_method": "awq", "bits": 4, "group_size": 64},
        364_589_799_936,
        "github.com/kvcache-ai/sglang_awq @1e697f1 model.safetensors.index.json, read 2026-11-21; "
        "that it is V3's shapes and groups of 64 is inferred from the size and the names",
        beside=-58 * 256 * 2,  # the router's correction is in 16 bits there
    ),
    "GLM 5.2, NVFP4": Published(
        GLM_5_2,
        GLM_NVFP4,
        464_795_267_072,
        _HUB.format("nvidia/GLM-5.2-NVFP4"),
        prediction_layer="plain",
        beside=_GLM_PREDICTION,
    ),
    "Genz 70B (Llama 2), GPTQ of 3 bits": Published(
        GENZ_70B,
        {"quant_method": "gptq", "bits": 3, "group_size": 128, "desc_act": True, "sym": True},
        28_029_117_672,
        "github.com/itdevwu/Genz-70b-GPTQ @20f5207 model.safetensors (Git LFS pointer), read 2026-11-21",
        beside=_ZERO_BIASES,
        tolerance=_FILES,
    ),
}
