"""One builder a model type: which keys of its config.json say what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from advisor.architecture import Architecture
from advisor.hf_config.deepseek import deepseek
from advisor.hf_config.encoders import ROBERTA_PADDING, bert, nomic_bert
from advisor.hf_config.gemma import gemma, gemma4
from advisor.hf_config.hybrids import granite_hybrid, lfm2
from advisor.hf_config.llama import llama
from advisor.hf_config.others import exaone4, gpt_oss, phi3
from advisor.hf_config.qwen import qwen2, qwen3, qwen3_moe, qwen_hybrid
from advisor.hf_config.reader import Config

Builder = Callable[[Config], Architecture]

BUILDERS: Final[Mapping[str, Builder]] = {
    "llama": llama,
    "mistral": llama,
    "mixtral": llama,
    "ministral3": llama,
    "mistral3": llama,
    "granite": llama,
    "smollm3": llama,
    "qwen2": qwen2,
    "qwen3": qwen3,
    "qwen3_vl_text": qwen3,
    "qwen3_moe": qwen3_moe,
    "qwen3_vl_moe_text": qwen3_moe,
    "qwen3_next": qwen_hybrid,
    "qwen3_5": qwen_hybrid,
    "qwen3_5_text": qwen_hybrid,
    "qwen3_5_moe": qwen_hybrid,
    "qwen3_5_moe_text": qwen_hybrid,
    "gemma": gemma("gemma", None),
    "gemma2": gemma("gemma2", "sf"),
    "gemma3": gemma("gemma3", "sssssf"),
    "gemma3_text": gemma("gemma3", "sssssf"),
    "gemma4": gemma4,
    "gemma4_text": gemma4,
    "gemma4_unified": gemma4,
    "gemma4_unified_text": gemma4,
    "phi3": phi3,
    "gpt_oss": gpt_oss,
    "deepseek_v2": deepseek,
    "deepseek_v3": deepseek,
    "glm4_moe_lite": deepseek,
    "kimi_k2": deepseek,
    "granitemoehybrid": granite_hybrid,
    "lfm2": lfm2,
    "lfm2_moe": lfm2,
    "exaone4": exaone4,
    "nomic_bert": nomic_bert,
    "bert": bert(0),
    "xlm-roberta": bert(ROBERTA_PADDING),
    "roberta": bert(ROBERTA_PADDING),
    "mpnet": bert(ROBERTA_PADDING),
}
