"""A GGUF of an architecture's true shapes whose data is a hole: llama.cpp plans with it, the disk holds none.

The tokenizer is "none" with a vocabulary size, which llama.cpp accepts.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from tiny_gguf import add_key

from advisor.architecture import Architecture, LayerKind
from advisor.quantization import quantize
from advisor.tensor_types import ALIGNMENT, tensor_bytes
from advisor.tensors import tensors
from advisor.units import pad


def metadata(arch: Architecture) -> dict[str, Any]:
    """The GGUF keys (without the architecture's prefix) that llama.cpp needs to load `arch`."""
    kinds = arch.layer_kinds()
    keys: dict[str, Any] = {
        "vocab_size": arch.n_vocab,
        "context_length": arch.n_ctx_train,
        "embedding_length": arch.n_embd,
        "block_count": arch.n_layers,
        "feed_forward_length": arch.n_ff or (arch.moe.n_ff if arch.moe else 0),
        "attention.head_count": arch.n_heads,
        "attention.head_count_kv": arch.n_kv_heads,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "attention.key_length": arch.head_dim_full or arch.head_dim,
        "attention.value_length": arch.head_dim_full or arch.head_dim,
        "rope.dimension_count": arch.n_rot or arch.head_dim_full or arch.head_dim,
    }
    if arch.is_bert:
        keys |= {"attention.layer_norm_epsilon": 1e-12, "attention.causal": False, "pooling_type": 1}
        keys["full:tokenizer.ggml.token_type_count"] = max(1, arch.n_token_types)
    if LayerKind.SLIDING in kinds:
        keys["attention.sliding_window"] = arch.n_swa
    if arch.moe:
        moe = arch.moe
        keys |= {
            "expert_count": moe.n_experts,
            "expert_used_count": moe.n_experts_used,
            "expert_feed_forward_length": moe.n_ff,
        }
        if moe.n_ff_shared:
            keys |= {
                "expert_shared_feed_forward_length": moe.n_ff_shared,
                "expert_shared_count": max(1, moe.n_ff_shared // moe.n_ff),
            }
        if moe.n_layers_dense or arch.mla or arch.family == "lfm2moe":
            keys["leading_dense_block_count"] = moe.n_layers_dense
    keys |= _family_keys(arch, kinds)
    return keys


def _family_keys(arch: Architecture, kinds: tuple[LayerKind, ...]) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    if arch.mla:
        mla = arch.mla
        keys |= {
            "attention.head_count_kv": 1,
            "attention.key_length": mla.kv_lora_rank + mla.qk_rope_head_dim,
            "attention.value_length": mla.kv_lora_rank,
            "attention.key_length_mla": mla.qk_nope_head_dim + mla.qk_rope_head_dim,
            "attention.value_length_mla": mla.v_head_dim,
            "attention.kv_lora_rank": mla.kv_lora_rank,
            "rope.dimension_count": mla.qk_rope_head_dim,
            "expert_weights_scale": 1.0,
            "expert_gating_func": 2,
        }
        if mla.q_lora_rank:
            keys["attention.q_lora_rank"] = mla.q_lora_rank
    if arch.recurrent:
        r = arch.recurrent
        if r.kind == "short_conv":
            keys["shortconv.l_cache"] = r.d_conv
            keys["expert_gating_func"] = 2
        else:
            keys |= {
                "ssm.conv_kernel": r.d_conv,
                "ssm.inner_size": r.d_inner,
                "ssm.state_size": r.d_state,
                "ssm.time_step_rank": r.n_heads,
                "ssm.group_count": r.n_groups,
            }
        if r.kind == "delta_net":
            keys["full_attention_interval"] = kinds.index(LayerKind.FULL) + 1
            keys["rope.dimension_count"] = arch.head_dim // 4
            keys["rope.dimension_sections"] = [11, 11, 10, 0]
        else:
            keys["attention.head_count_kv"] = [
                arch.n_kv_heads if kind is LayerKind.FULL else 0 for kind in kinds
            ]
    if arch.family == "gemma4":
        full = arch.n_kv_heads_full or arch.n_kv_heads
        keys |= {
            "attention.head_count_kv": [
                full if kind is LayerKind.FULL else arch.n_kv_heads for kind in kinds
            ],
            "attention.key_length_swa": arch.head_dim,
            "attention.value_length_swa": arch.head_dim,
            "rope.dimension_count_swa": arch.head_dim,
            "attention.sliding_window_pattern": [kind is LayerKind.SLIDING for kind in kinds],
            "attention.shared_kv_layers": arch.n_kv_shared_layers,
            "embedding_length_per_layer_input": arch.per_layer_embeddings.n_embd
            if arch.per_layer_embeddings
            else 0,
        }
        if arch.n_ff_shared_kv:
            own = arch.n_layers - arch.n_kv_shared_layers
            keys["feed_forward_length"] = [
                arch.n_ff if i < own else arch.n_ff_shared_kv for i in range(arch.n_layers)
            ]
    if arch.family == "granite":
        keys |= {"logit_scale": 16.0, "residual_scale": 1.0, "embedding_scale": 1.0, "attention.scale": 1.0}
    if arch.rope_factors == "longrope":
        keys["rope.scaling.original_context_length"] = 4096
    return keys


def write_sparse(path: Path, arch: Architecture, quantization: str) -> Path:
    """Write the file; its size is the true one, its data a hole."""
    rows = tensors(arch)
    types = quantize(arch, rows, quantization)
    writer = gguf.GGUFWriter(str(path), arch.family)
    writer.add_file_type(1)
    writer.add_quantization_version(2)
    writer.add_tokenizer_model("none")
    for key, value in metadata(arch).items():
        add_key(
            writer, key.removeprefix("full:") if key.startswith("full:") else f"{arch.family}.{key}", value
        )
    total = 0
    for row, type_name in zip(rows, types, strict=True):
        size = tensor_bytes(row.shape, type_name)
        total += pad(size, ALIGNMENT)
        raw = gguf.GGMLQuantizationType[type_name]
        writer.add_tensor_info(row.name, list(reversed(row.shape)), np.dtype(np.float16), size, raw_dtype=raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    os.truncate(path, pad(path.stat().st_size, ALIGNMENT) + total)
    return path
