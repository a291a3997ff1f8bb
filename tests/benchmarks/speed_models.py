"""The models of published runs, as the product knows them: by catalog, or by a table of hyper-parameters.

Runs name their models freely; the first pattern that a name holds decides. Fine-tunes are their base model.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final

from advisor.catalog import load_catalog
from advisor.resolve import Subject, resolve_model, subject_of_config

sys.path.insert(0, str(Path(__file__).parent.parent))

from published_mixtures import MIXTURES
from published_models import PUBLISHED

_LLAMA_2: Final = {"model_type": "llama", "max_position_embeddings": 4096, "vocab_size": 32000}


def _llama(n: int, layers: int, heads: int, kv: int, ff: int, **extra: Any) -> dict[str, Any]:
    return {
        **_LLAMA_2,
        "hidden_size": n,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "intermediate_size": ff,
        **extra,
    }


_QWEN3_235B: Final = {
    **_llama(4096, 94, 64, 4, 12288, vocab_size=151936),
    "model_type": "qwen3_moe",
    "head_dim": 128,
    "max_position_embeddings": 40960,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 1536,
}
_DEEPSEEK_R1: Final = {
    **_llama(7168, 61, 128, 128, 18432, vocab_size=129280),
    "model_type": "deepseek_v3",
    "max_position_embeddings": 163840,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "n_routed_experts": 256,
    "num_experts_per_tok": 8,
    "n_shared_experts": 1,
    "moe_intermediate_size": 2048,
    "first_k_dense_replace": 3,
}
_DEEPSEEK_V2_LITE: Final = {
    **_llama(2048, 27, 16, 16, 10944, vocab_size=102400),
    "model_type": "deepseek_v2",
    "max_position_embeddings": 163840,
    "q_lora_rank": None,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "n_routed_experts": 64,
    "num_experts_per_tok": 6,
    "n_shared_experts": 2,
    "moe_intermediate_size": 1408,
    "first_k_dense_replace": 1,
}
CONFIGS: Final[dict[str, dict[str, Any]]] = {
    "llama-2-7b": _llama(4096, 32, 32, 32, 11008),
    "llama-2-13b": _llama(5120, 40, 40, 40, 13824),
    "llama-2-70b": _llama(8192, 80, 64, 8, 28672),
    "codellama-34b": _llama(8192, 48, 64, 8, 22016),
    "tinyllama-1.1b": _llama(2048, 22, 32, 4, 5632),
    "llama-3.1-405b": _llama(16384, 126, 128, 8, 53248, vocab_size=128256),
    "mistral-nemo-12b": _llama(5120, 40, 32, 8, 14336, model_type="mistral", head_dim=128, vocab_size=131072),
    "kimi-dev-72b": _llama(8192, 80, 64, 8, 29568, model_type="qwen2", vocab_size=152064),
    "falcon3-7b": _llama(3072, 28, 12, 4, 23040, head_dim=256, vocab_size=131072),
    "qwen3-235b-a22b": _QWEN3_235B,
    "deepseek-r1": _DEEPSEEK_R1,
    "deepseek-v2-lite": _DEEPSEEK_V2_LITE,
}
"""From the makers' config.json on the Hugging Face hub, 2026-11-21."""

NAMES: Final = (
    (r"tinyllama-1.1b", "tinyllama-1.1b"),
    (r"kimi-dev-72b", "kimi-dev-72b"),
    (r"code-?llama-34b", "codellama-34b"),
    (r"llama[- ]2[- ]7b", "llama-2-7b"),
    (r"llama-2-13b", "llama-2-13b"),
    (r"llama-2-70b", "llama-2-70b"),
    (r"deepseek-r1-distill-llama-8b|llama-3.1-8b|shisa v2 8b|llama3.1:8b", "llama-3.1-8b-instruct"),
    (r"llama-3-8b", "llama-3-8b-instruct"),
    (r"llama-3-70b", "llama-3-70b-instruct"),
    (r"llama-3.[13]-70b|shisa v2 70b", "llama-3.3-70b-instruct"),
    (r"llama-3.1-405b", "llama-3.1-405b"),
    (r"llama-?3.2[-:]1b", "llama-3.2-1b-instruct"),
    (r"llama-?3.2[-:]3b", "llama-3.2-3b-instruct"),
    (r"llama 4 scout", "llama-4-scout"),
    (r"mistral-nemo", "mistral-nemo-12b"),
    (r"mistral[- ]small-4", "mistral-small-4"),
    (r"mistral[- ]small|devstral-small-24b|devstral:24b", "mistral-small-3.2-24b-instruct"),
    (r"ministral-3[-:]14b", "ministral-3-14b-instruct"),
    (r"ministral-3[-:]8b", "ministral-3-8b-instruct"),
    (r"ministral-3[-:]3b", "ministral-3-3b-instruct"),
    (r"mistral-7b", "mistral-7b-instruct-v0.3"),
    (r"phi-4-mini", "phi-4-mini-instruct"),
    (r"phi-4", "phi-4"),
    (r"phi-3.5-mini", "phi-3-mini-4k-instruct"),
    (r"falcon3-7b", "falcon3-7b"),
    (r"qwen2.5-(coder-)?3b", "qwen2.5-3b-instruct"),
    (r"qwen2.5-0.5b", "qwen2.5-0.5b-instruct"),
    (r"(qwen2.5(-coder)?|deepseek-r1-distill-qwen)-1.5b", "qwen2.5-1.5b-instruct"),
    (r"qwen2.5(-coder)?-7b|deepseek-r1(-distill-qwen)?-7b", "qwen2.5-7b-instruct"),
    (r"qwen2.5(-coder)?-14b|deepseek-r1-distill-qwen-14b", "qwen2.5-14b-instruct"),
    (r"qwen2.5(-coder)?-32b|deepseek-r1-distill-qwen-32b|qwq-32b", "qwen2.5-32b-instruct"),
    (r"qwen3-coder-next", "qwen3-coder-next"),
    (r"qwen3-0.6b", "qwen3-0.6b"),
    (r"qwen3[- ]1.7b", "qwen3-1.7b"),
    (r"qwen[- ]?3-4b", "qwen3-4b-instruct-2507"),
    (r"qwen[- ]?3-8b", "qwen3-8b"),
    (r"qwen[- ]?3-14b", "qwen3-14b"),
    (r"qwen ?3[- ]32b", "qwen3-32b"),
    (r"qwen ?3[- ]30b-a3b", "qwen3-30b-a3b-instruct-2507"),
    (r"qwen ?3[- ]235b-a22b", "qwen3-235b-a22b"),
    (r"qwen3.5-0.8b", "qwen3.5-0.8b"),
    (r"qwen3.5-2b", "qwen3.5-2b"),
    (r"qwen3.5-4b", "qwen3.5-4b"),
    (r"qwen3.5-9b", "qwen3.5-9b"),
    (r"qwen3.[568]-27b", "qwen3.6-27b"),
    (r"qwen3.[56]-35b-a3b", "qwen3.6-35b-a3b"),
    (r"qwen3.5-122b-a10b", "qwen3.5-122b-a10b"),
    (r"gemma-2-9b", "gemma-2-9b-it"),
    (r"gemma-3-1b", "gemma-3-1b-it"),
    (r"gemma-3-4b", "gemma-3-4b-it"),
    (r"gemma-3-12b", "gemma-3-12b-it"),
    (r"gemma[- ]3[- ]27b", "gemma-3-27b-it"),
    (r"gemma-4-e2b", "gemma-4-e2b-it"),
    (r"gemma-4-e4b", "gemma-4-e4b-it"),
    (r"gemma-4-12b", "gemma-4-12b-it"),
    (r"gemma-4-26b-a4b", "gemma-4-26b-a4b-it"),
    (r"gemma-4-31b", "gemma-4-31b-it"),
    (r"gpt-oss[-: ]20b", "gpt-oss-20b"),
    (r"gpt-oss[-: ]120b", "gpt-oss-120b"),
    (r"glm-4.7-flash", "glm-4.7-flash"),
    (r"glm 4.5 air", "glm-4.5-air"),
    (r"granite-?4.1[-:]8b", "granite-4.1-8b"),
    (r"minimax-m2.7", "minimax-m2.5"),
    (r"nemotron-3-super-120b-a12b", "nemotron-3-super-120b-a12b"),
    (r"nemotron-3-nano-30b-a3b|nemotron-3-nano:30b", "nemotron-3-nano-30b-a3b"),
    (r"hunyuan-a13b", "hunyuan-a13b"),
    (r"dots1", "dots.llm1"),
    (r"deepseek-v4-flash", "deepseek-v4-flash"),
    (r"deepseek-r1(-671b)?$", "deepseek-r1"),
    (r"deepseek-(coder-)?v2-lite", "deepseek-v2-lite"),
    (r"kimi-linear-48b", "kimi-linear-48b-a3b"),
    (r"lfm2.5-8b-a1b|lfm2.5:8b", "lfm2.5-8b-a1b"),
)


def subject_named(name: str) -> Subject | None:
    """The model that a run names; None for one whose hyper-parameters are not at hand."""
    found = next((to for pattern, to in NAMES if re.search(pattern, name, re.IGNORECASE)), None)
    return _subject(found) if found else None


@cache
def _subject(name: str) -> Subject:
    published = MIXTURES.get(name) or PUBLISHED.get(name)
    config = published.config if published else CONFIGS.get(name)
    return subject_of_config(name, config) if config else resolve_model(name, load_catalog)
