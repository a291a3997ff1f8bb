"""safetensors files made by hand: the bytes of a header, and files whose data is a hole."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

Row = tuple[str, tuple[int, ...]]
"""Type and shape."""
BITS = {"BF16": 16, "F16": 16, "F32": 32, "I32": 32, "F8_E4M3": 8, "U8": 8, "F4": 4}


def header(text: str | bytes | dict[str, Any]) -> bytes:
    """Length and JSON."""
    raw = text if isinstance(text, bytes) else (text if isinstance(text, str) else json.dumps(text)).encode()
    return struct.pack("<Q", len(raw)) + raw


def entries(tensors: Mapping[str, Row]) -> tuple[dict[str, Any], int]:
    """The JSON of a correct header, and the bytes of its data."""
    listed: dict[str, Any] = {"__metadata__": {"format": "pt", "note": "{"}}
    at = 0
    for name, (dtype, shape) in tensors.items():
        end = at + prod(shape) * BITS[dtype] // 8
        listed[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, end]}
        at = end
    return listed, at


def write(path: Path, tensors: Mapping[str, Row]) -> Path:
    """A whole file whose data takes no disk."""
    listed, size = entries(tensors)
    raw = header(listed)
    with path.open("wb") as file:
        file.write(raw)
        file.truncate(len(raw) + size)
    return path


def tiny_model(n_layers: int = 2, dtype: str = "BF16") -> dict[str, Row]:
    """The tensors of a small Qwen 3 with tied embeddings."""
    rows: dict[str, Row] = {
        "model.embed_tokens.weight": (dtype, (512, 64)),
        "model.norm.weight": (dtype, (64,)),
    }
    for i in range(n_layers):
        layer = f"model.layers.{i}."
        rows[layer + "input_layernorm.weight"] = (dtype, (64,))
        rows[layer + "post_attention_layernorm.weight"] = (dtype, (64,))
        for name, shape in {
            "self_attn.q_proj": (64, 64),
            "self_attn.k_proj": (32, 64),
            "self_attn.v_proj": (32, 64),
            "self_attn.o_proj": (64, 64),
            "mlp.gate_proj": (128, 64),
            "mlp.up_proj": (128, 64),
            "mlp.down_proj": (64, 128),
        }.items():
            rows[f"{layer}{name}.weight"] = (dtype, shape)
        for name in ("q_norm", "k_norm"):
            rows[f"{layer}self_attn.{name}.weight"] = (dtype, (16,))
    return rows


CONFIG = {
    "model_type": "qwen3",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 128,
    "vocab_size": 512,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
}
"""Of `tiny_model`."""
