"""What checkpoints call the matrices that a GGUF names by role.

Source: the converters of llama.cpp (conversion/ and gguf-py's tensor_mapping.py of llama-cpp-python 0.3.36,
2026-10-01), which read these names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from advisor.errors import ConfigError
from advisor.i18n import _

_LLAMA: Final[Mapping[str, str]] = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_qkv": "self_attn.qkv_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_a": "self_attn.q_a_proj",
    "attn_q_b": "self_attn.q_b_proj",
    "attn_kv_a_mqa": "self_attn.kv_a_proj_with_mqa",
    "attn_kv_b": "self_attn.kv_b_proj",
    "indexer.attn_k": "self_attn.indexer.wk",
    "indexer.attn_q_b": "self_attn.indexer.wq_b",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "ffn_gate_exps": "mlp.experts.0.gate_proj",
    "ffn_up_exps": "mlp.experts.0.up_proj",
    "ffn_down_exps": "mlp.experts.0.down_proj",
    "ffn_gate_shexp": "mlp.shared_experts.gate_proj",
    "ffn_up_shexp": "mlp.shared_experts.up_proj",
    "ffn_down_shexp": "mlp.shared_experts.down_proj",
}
"""By role; of the experts, the first stands for all."""
_FUSED_FFN: Final = {"ffn_up": "mlp.gate_up_proj"}
_MIXTRAL: Final = {
    "ffn_gate_exps": "block_sparse_moe.experts.0.w1",
    "ffn_down_exps": "block_sparse_moe.experts.0.w2",
    "ffn_up_exps": "block_sparse_moe.experts.0.w3",
}
_MINIMAX_3: Final = {
    **_MIXTRAL,
    "ffn_gate_shexp": "block_sparse_moe.shared_experts.gate_proj",
    "ffn_up_shexp": "block_sparse_moe.shared_experts.up_proj",
    "ffn_down_shexp": "block_sparse_moe.shared_experts.down_proj",
}
_ONE_SHARED: Final = {
    "ffn_gate_shexp": "mlp.shared_expert.gate_proj",
    "ffn_up_shexp": "mlp.shared_expert.up_proj",
    "ffn_down_shexp": "mlp.shared_expert.down_proj",
}
_DELTA_NET: Final = {
    "attn_gate": "linear_attn.in_proj_z",
    "ssm_alpha": "linear_attn.in_proj_a",
    "ssm_beta": "linear_attn.in_proj_b",
    "ssm_out": "linear_attn.out_proj",
    "attn_qkv": "linear_attn.in_proj_qkv",
}
_QWEN3_NEXT: Final = {
    **_DELTA_NET,
    "attn_qkv": "linear_attn.in_proj_qkvz",
    "attn_gate": "linear_attn.in_proj_qkvz",
    "ssm_ba": "linear_attn.in_proj_ba",
}
_LFM2: Final = {
    "shortconv.in_proj": "conv.in_proj",
    "shortconv.out_proj": "conv.out_proj",
    "attn_output": "self_attn.out_proj",
    "ffn_gate": "feed_forward.w1",
    "ffn_down": "feed_forward.w2",
    "ffn_up": "feed_forward.w3",
    "ffn_gate_exps": "feed_forward.experts.0.w1",
    "ffn_down_exps": "feed_forward.experts.0.w2",
    "ffn_up_exps": "feed_forward.experts.0.w3",
}
_MAMBA: Final = {"ssm_in": "mamba.in_proj", "ssm_out": "mamba.out_proj"}
_GRANITE_MOE: Final = {
    "ffn_gate_exps": "block_sparse_moe.input_linear",
    "ffn_up_exps": "block_sparse_moe.input_linear",
    "ffn_down_exps": "block_sparse_moe.output_linear",
    **dict.fromkeys(("ffn_gate_shexp", "ffn_up_shexp"), "shared_mlp.input_linear"),
    "ffn_down_shexp": "shared_mlp.output_linear",
}
_GRANITE_HYBRID: Final = {
    **_MAMBA,
    **_GRANITE_MOE,
    **dict.fromkeys(("ffn_gate", "ffn_up"), "shared_mlp.input_linear"),
    "ffn_down": "shared_mlp.output_linear",
}
_FEED_FORWARD: Final = {
    "ffn_gate": "feed_forward.gate_proj",
    "ffn_up": "feed_forward.up_proj",
    "ffn_down": "feed_forward.down_proj",
    "ffn_gate_exps": "feed_forward.experts.0.gate_proj",
    "ffn_up_exps": "feed_forward.experts.0.up_proj",
    "ffn_down_exps": "feed_forward.experts.0.down_proj",
}
_LLAMA_4: Final = {
    **_FEED_FORWARD,
    **dict.fromkeys(("ffn_gate_exps", "ffn_up_exps"), "feed_forward.experts.gate_up_proj"),
    "ffn_down_exps": "feed_forward.experts.down_proj",
    "ffn_gate_shexp": "feed_forward.shared_expert.gate_proj",
    "ffn_up_shexp": "feed_forward.shared_expert.up_proj",
    "ffn_down_shexp": "feed_forward.shared_expert.down_proj",
}
_NEMOTRON_H: Final = {
    "ssm_in": "mixer.in_proj",
    "ssm_out": "mixer.out_proj",
    "attn_q": "mixer.q_proj",
    "attn_k": "mixer.k_proj",
    "attn_v": "mixer.v_proj",
    "attn_output": "mixer.o_proj",
    "ffn_up": "mixer.up_proj",
    "ffn_down": "mixer.down_proj",
    "ffn_up_exps": "mixer.experts.0.up_proj",
    "ffn_down_exps": "mixer.experts.0.down_proj",
    "ffn_up_shexp": "mixer.shared_experts.up_proj",
    "ffn_down_shexp": "mixer.shared_experts.down_proj",
    "ffn_latent_down": "mixer.fc1_latent_proj",
    "ffn_latent_up": "mixer.fc2_latent_proj",
}
_GEMMA_3N: Final = {
    "inp_gate": "per_layer_input_gate",
    "proj": "per_layer_projection",
    "altup_router": "altup.modality_router",
    "laurel_l": "laurel.linear_left",
    "laurel_r": "laurel.linear_right",
}
_GEMMA_4: Final = {
    **_GEMMA_3N,
    "ffn_gate_up_exps": "experts.0.gate_up_proj",
    "ffn_down_exps": "experts.0.down_proj",
}
_GPT_OSS: Final = {
    "ffn_gate_exps": "mlp.experts.gate_up_proj",
    "ffn_up_exps": "mlp.experts.gate_up_proj",
    "ffn_down_exps": "mlp.experts.down_proj",
}
_STARCODER: Final = {"ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"}
_INTERN_LM: Final = {
    **dict.fromkeys(("attn_q", "attn_k", "attn_v"), "attention.wqkv"),
    "attn_output": "attention.wo",
    "ffn_gate": "feed_forward.w1",
    "ffn_down": "feed_forward.w2",
    "ffn_up": "feed_forward.w3",
}


class Names(NamedTuple):
    """One family's names."""

    own: Mapping[str, str]
    """Where they differ from Llama's."""
    layers: str = "model.layers"


_AS_LLAMA: Final = (
    *("mistral3", "granite", "smollm3", "qwen2", "qwen3", "qwen3moe", "qwen3vl", "qwen3vlmoe", "qwen2vl"),
    *("gemma", "gemma2", "gemma3", "deepseek2", "nemotron", "deci", "olmo2", "olmoe", "command-r", "cohere2"),
    *("seed_oss", "stablelm", "minicpm", "apertus", "arcee", "exaone4", "llama-embed"),
    *("deepseek32", "glm-dsa", "glm4moe", "mimo2", "dots1"),
)
FAMILIES: Final[Mapping[str, Names]] = {
    **dict.fromkeys(_AS_LLAMA, Names({})),
    "llama": Names(_MIXTRAL),
    "phi3": Names(_FUSED_FFN),
    "glm4": Names(_FUSED_FFN),
    "minimax-m2": Names(_MIXTRAL),
    "minimax-m3": Names(_MINIMAX_3),
    "llama4": Names(_LLAMA_4),
    "phimoe": Names(_MIXTRAL),
    "qwen2moe": Names(_ONE_SHARED),
    "qwen3next": Names({**_QWEN3_NEXT, **_ONE_SHARED}),
    "qwen35": Names(_DELTA_NET),
    "qwen35moe": Names({**_DELTA_NET, **_ONE_SHARED}),
    "gpt-oss": Names(_GPT_OSS),
    "lfm2": Names(_LFM2),
    "lfm2moe": Names(_LFM2),
    "granitemoe": Names(_GRANITE_MOE),
    "granitehybrid": Names(_GRANITE_HYBRID),
    "falcon-h1": Names({**_MAMBA, **_FEED_FORWARD}),
    "jamba": Names({**_MAMBA, "ssm_x": "mamba.x_proj", "ssm_dt": "mamba.dt_proj", **_FEED_FORWARD}),
    "nemotron_h": Names(_NEMOTRON_H, "backbone.layers"),
    "nemotron_h_moe": Names(_NEMOTRON_H, "backbone.layers"),
    "gemma3n": Names(_GEMMA_3N),
    "gemma4": Names(_GEMMA_4),
    "starcoder2": Names(_STARCODER),
    "internlm2": Names(_INTERN_LM),
}
"""By llama.cpp's name of the architecture."""

_OUTSIDE: Final[Mapping[str, str]] = {
    "output": "lm_head",
    "per_layer_model_proj": "model.per_layer_model_projection",
    "altup_proj": "model.altup_projections.0",
    "altup_unembd_proj": "model.altup_unembed_projections.0",
}


def module_of(family: str, role: str, layer: int | None) -> str:
    """The checkpoint's name of a matrix.

    Raises `ConfigError` for a family, or a matrix of it, whose names are not known.
    """
    names = FAMILIES.get(family)
    if names is None:
        raise ConfigError(
            _(
                "what checkpoints of {family!r} call their modules is not known, so neither is "
                "what their quantization leaves out (known: {known})"
            ).format(family=family, known=", ".join(sorted(FAMILIES)))
        )
    name = _OUTSIDE.get(role) if layer is None else names.own.get(role) or _LLAMA.get(role)
    if name is None:
        raise ConfigError(
            _("what checkpoints of {family!r} call the matrix {role!r} is not known").format(
                family=family, role=role
            )
        )
    return name if layer is None else f"{names.layers}.{layer}.{name}"
