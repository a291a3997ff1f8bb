"""Ask llama.cpp's multimodal library what a projector would take: run as a child process.

    python tests/projector_usage.py MMPROJ.gguf

Prints {"bytes": weights and first graph together}. Nothing is allocated, so the file's data may be a hole.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path
from typing import Any

from llama_child import last_json

from advisor.gguf.writer import TensorRow, data_bytes, header_bytes
from advisor.projectors import Tower, projector_tensors
from advisor.projectors.tensors import stored_type

_USAGE = "_Z21mtmd_get_memory_usagePKc19mtmd_context_params"
"""mtmd_get_memory_usage: a std::map from device to bytes."""
_NAMES = {"qwen2.5vl": "qwen2.5vl_merger", "qwen3vl": "qwen3vl_merger"}
"""llama.cpp's names where they differ from ours."""


def usage(path: Path) -> int:
    """Bytes of weights and first graph; raises `AssertionError` with llama.cpp's last words."""
    return int(last_json(__file__, path)["bytes"])


def write_projector(path: Path, tower: Tower, type_name: str) -> Path:
    """A projector file whose data is a hole."""
    vision = {
        "embedding_length": tower.n_embd,
        "attention.head_count": tower.n_heads,
        "feed_forward_length": tower.n_ff,
        "block_count": tower.n_layers,
        "projection_dim": tower.n_embd_out,
        "image_size": tower.image_size,
        "patch_size": tower.patch_size,
        "spatial_merge_size": tower.n_merge,
        "projector.scale_factor": tower.n_merge,
        "attention.layer_norm_epsilon": 1e-6,
        "image_mean": (0.5, 0.5, 0.5),
        "image_std": (0.5, 0.5, 0.5),
    }
    if tower.window_period:
        vision["n_wa_pattern"] = tower.window_period
    keys: dict[str, Any] = {
        "general.architecture": "clip",
        "clip.has_vision_encoder": True,
        "clip.projector_type": _NAMES.get(tower.kind, tower.kind),
        "clip.use_gelu": True,
        **{f"clip.vision.{name}": value for name, value in vision.items()},
    }
    rows = [TensorRow(row.name, row.shape, stored_type(row, type_name)) for row in projector_tensors(tower)]
    header = header_bytes(keys, rows)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + data_bytes(rows))
    return path


def main(path: str) -> None:
    from llama_cpp import llama_cpp as api
    from llama_cpp import mtmd_cpp

    api.llama_backend_init()
    ask = mtmd_cpp._libmtmd[_USAGE]
    ask.restype, ask.argtypes = _Map, [ctypes.c_char_p, mtmd_cpp.mtmd_context_params]
    params = mtmd_cpp.mtmd_context_params_default()
    params.use_gpu = False
    found = ask(path.encode(), params)
    assert found.size == 1, f"{path} does not load"
    print(json.dumps({"bytes": _Node.from_address(found.root).size}))


class _Map(ctypes.Structure):
    """libstdc++'s, as in advisor/llama_library.py."""

    _fields_ = (
        ("compare", ctypes.c_size_t),
        ("colour", ctypes.c_int),
        ("root", ctypes.c_void_p),
        ("first", ctypes.c_void_p),
        ("last", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
    )


class _Node(ctypes.Structure):
    _fields_ = (
        ("colour", ctypes.c_int),
        ("parent", ctypes.c_void_p),
        ("left", ctypes.c_void_p),
        ("right", ctypes.c_void_p),
        ("device", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
    )


if __name__ == "__main__":
    main(sys.argv[1])
