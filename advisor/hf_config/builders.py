"""One builder a model type: which keys of its config.json say what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from advisor.architecture import Architecture
from advisor.hf_config.chatglm import chatglm, glm4
from advisor.hf_config.cohere import cohere, cohere2
from advisor.hf_config.deepseek import deepseek, deepseek_v4, deepseek_v32, glm_moe_dsa, mistral4
from advisor.hf_config.encoders import (
    ROBERTA_PADDING,
    bert,
    distil_bert,
    euro_bert,
    modern_bert,
    neo_bert,
    nomic_bert,
)
from advisor.hf_config.gemma import gemma, gemma3n, gemma4
from advisor.hf_config.hybrids import falcon_h1, granite_hybrid, jamba, lfm2
from advisor.hf_config.kimi import kimi_linear
from advisor.hf_config.like_llama import (
    apertus,
    arcee,
    exaone,
    granite_moe,
    internlm2,
    internlm3,
    minicpm,
    seed_oss,
    stablelm,
    starcoder2,
)
from advisor.hf_config.llama import llama
from advisor.hf_config.llama4 import llama4
from advisor.hf_config.mimo import mimo_v2
from advisor.hf_config.minimax import minimax_m2, minimax_m3
from advisor.hf_config.mixtures import (
    bailing_moe,
    bailing_moe_v2,
    dots1,
    ernie4_5,
    ernie4_5_moe,
    exaone_moe,
    glm4_moe,
    hunyuan_dense,
    hunyuan_moe,
    phimoe,
    qwen2_moe,
)
from advisor.hf_config.nemotron import nemotron, nemotron_h, nemotron_nas
from advisor.hf_config.olmo import olmo2, olmoe
from advisor.hf_config.others import exaone4, gpt_oss, phi3
from advisor.hf_config.qwen import (
    qwen2,
    qwen2_vl,
    qwen3,
    qwen3_moe,
    qwen3_vl,
    qwen3_vl_moe,
    qwen_hybrid,
)
from advisor.hf_config.reader import Config
from advisor.hf_config.step import step3p5

Builder = Callable[[Config], Architecture]

REFUSED: Final[Mapping[str, str]] = {
    "mimo": "MiMo 7B",
    "hyperclovax": "HyperCLOVA X SEED Think",
    "mllama": "Llama 3.2 Vision",
    "new": "GTE v1.5 and multilingual",
    "phi4mm": "Phi-4 multimodal",
    "solar": "Solar Pro",
}
"""Model types that llama.cpp's converter does not know (conversion/ of llama-cpp-python 0.3.36)."""

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
    **dict.fromkeys(("qwen2_vl", "qwen2_vl_text", "qwen2_5_vl", "qwen2_5_vl_text"), qwen2_vl),
    "qwen3_vl_text": qwen3_vl,
    "qwen3_moe": qwen3_moe,
    "qwen3_vl_moe_text": qwen3_vl_moe,
    "qwen3_next": qwen_hybrid,
    "qwen3_5": qwen_hybrid,
    "qwen3_5_text": qwen_hybrid,
    "qwen3_5_moe": qwen_hybrid,
    "qwen3_5_moe_text": qwen_hybrid,
    "gemma": gemma("gemma", None),
    "gemma2": gemma("gemma2", "sf"),
    "gemma3": gemma("gemma3", "sssssf"),
    "gemma3_text": gemma("gemma3", "sssssf"),
    "gemma3n": gemma3n,
    "gemma3n_text": gemma3n,
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
    "deepseek_v32": deepseek_v32,
    "deepseek_v4": deepseek_v4,
    "deepseek_ref": deepseek_v4,
    "glm_moe_dsa": glm_moe_dsa,
    "mistral4": mistral4,
    "kimi_linear": kimi_linear,
    "llama4": llama4,
    "llama4_text": llama4,
    "minimax_m2": minimax_m2,
    "minimax_m3": minimax_m3,
    "minimax_m3_text": minimax_m3,
    "minimax_m3_vl": minimax_m3,
    "mimo_v2_flash": mimo_v2,
    "mimo_v2": mimo_v2,
    "step3p5": step3p5,
    "step3p7": step3p5,
    "glm4_moe": glm4_moe,
    "dots1": dots1,
    "qwen2_moe": qwen2_moe,
    "phimoe": phimoe,
    "exaone_moe": exaone_moe,
    "ernie4_5": ernie4_5,
    "ernie4_5_moe": ernie4_5_moe,
    "hunyuan_v1_dense": hunyuan_dense,
    "hunyuan_v1_moe": hunyuan_moe,
    "bailing_moe": bailing_moe,
    "bailing_moe_v2": bailing_moe_v2,
    "granitemoehybrid": granite_hybrid,
    "lfm2": lfm2,
    "lfm2_moe": lfm2,
    "exaone4": exaone4,
    "nemotron": nemotron,
    "nemotron_h": nemotron_h,
    "nemotron-nas": nemotron_nas,
    "falcon_h1": falcon_h1,
    "jamba": jamba,
    "olmo2": olmo2,
    "olmo3": olmo2,
    "olmoe": olmoe,
    "cohere": cohere,
    "cohere2": cohere2,
    "granitemoe": granite_moe,
    "granitemoeshared": granite_moe,
    "seed_oss": seed_oss,
    "stablelm": stablelm,
    "starcoder2": starcoder2,
    "internlm2": internlm2,
    "internlm3": internlm3,
    "minicpm": minicpm,
    "exaone": exaone,
    "apertus": apertus,
    "arcee": arcee,
    "glm4": glm4,
    "chatglm": chatglm,
    "llama_bidirec": llama,
    "nomic_bert": nomic_bert,
    "modernbert": modern_bert,
    "eurobert": euro_bert,
    "neobert": neo_bert,
    "distilbert": distil_bert,
    "bert": bert(0),
    "xlm-roberta": bert(ROBERTA_PADDING),
    "roberta": bert(ROBERTA_PADDING),
    "mpnet": bert(ROBERTA_PADDING),
}
