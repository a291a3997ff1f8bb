"""Load an adapter into llama.cpp beside its model: a child process, since a failed assertion aborts it.

    python tests/load_adapter.py MODEL.gguf ADAPTER.gguf

Prints {"mib": the size of the adapter's buffers, as llama.cpp's log has it}.
"""

from __future__ import annotations

import ctypes
import json
import re
import sys
from pathlib import Path
from typing import Any

from llama_child import last_json

from advisor.adapters import lora_rows
from advisor.architecture import Architecture
from advisor.gguf.writer import TensorRow, data_bytes, header_bytes
from advisor.tensors import tensors

_BUFFER = re.compile(rb"LoRA buffer size = +([0-9.]+) MiB", re.IGNORECASE)


def loaded_mib(model: Path, adapter: Path) -> float:
    """MiB of the adapter's buffers, to two decimals."""
    return float(last_json(__file__, model, adapter)["mib"])


def write_adapter(path: Path, arch: Architecture, rank: int) -> Path:
    """An adapter of zeros on every matrix of the model's layers, as `lora_rows` counts it."""
    shapes = {row.name: row.shape for row in tensors(arch)}
    rows = []
    for name, _ in lora_rows(arch, rank):
        matrix, _, side = name.rpartition(".")
        n_in, n_out, *experts = shapes[matrix]
        shape = (n_in, rank, *experts) if side == "lora_a" else (rank, n_out, *experts)
        rows.append(TensorRow(name, shape, "F32"))
    keys: dict[str, Any] = {
        "general.architecture": arch.family,
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": 16.0,
    }
    header = header_bytes(keys, rows)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + data_bytes(rows))
    return path


def main(model_path: str, adapter_path: str) -> None:
    from llama_cpp import llama_cpp as api

    sizes: list[float] = []

    def listen(level: int, text: bytes, _: ctypes.c_void_p) -> None:
        sizes.extend(float(size) for size in _BUFFER.findall(text))

    callback = api.llama_log_callback(listen)
    api.llama_backend_init()
    api.llama_log_set(callback, ctypes.c_void_p(0))
    params = api.llama_model_default_params()
    params.use_extra_bufts = False
    model = api.llama_model_load_from_file(model_path.encode(), params)
    assert model, f"{model_path} does not load"
    adapter = api.llama_adapter_lora_init(model, adapter_path.encode())
    assert adapter, f"{adapter_path} does not load"
    print(json.dumps({"mib": sum(sizes)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
