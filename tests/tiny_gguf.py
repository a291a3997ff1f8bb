"""Tiny GGUF files with any keys and shapes, written by the gguf package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

Shapes = Mapping[str, tuple[int, ...]]

DENSE = {
    "block_count": 4,
    "context_length": 4096,
    "embedding_length": 64,
    "feed_forward_length": 128,
    "attention.head_count": 8,
    "attention.head_count_kv": 2,
}
"""Keys of a tiny decoder; a test adds its own, None takes one away."""
SHAPES: Shapes = {
    "token_embd.weight": (64, 320),
    **{f"blk.{i}.attn_k.weight": (64, 16) for i in range(4)},
    **{f"blk.{i}.attn_v.weight": (64, 16) for i in range(4)},
    **{f"blk.{i}.ffn_down.weight": (128, 64) for i in range(4)},
}
WINDOW = {"attention.sliding_window": 128}
SSM = {
    "ssm.conv_kernel": 4,
    "ssm.inner_size": 128,
    "ssm.state_size": 16,
    "ssm.time_step_rank": 8,
    "ssm.group_count": 1,
}
"""A recurrent layer's dimensions."""


def write(path: Path, family: str, keys: Mapping[str, Any], shapes: Shapes = SHAPES, **options: Any) -> Path:
    """A small file of F16 zeros, by the gguf package."""
    writer = gguf.GGUFWriter(path, family, **options)
    for key, value in {**DENSE, **keys}.items():
        add_key(writer, key if key.startswith("general.") else f"{family}.{key}", value)
    for name, shape in shapes.items():
        writer.add_tensor(name, np.zeros(shape[::-1], dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_key(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    """Write one key with the GGUF type of the value; None is left out."""
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    elif value is not None:
        writer.add_array(key, value)
