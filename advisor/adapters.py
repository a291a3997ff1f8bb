"""LoRA adapters: two thin matrices beside each matrix they adapt, on the device where that one lies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from typing import Final

from advisor.architecture import Architecture
from advisor.tensors import tensors
from advisor.weights import Weights, weights_of

F32_BYTES: Final = 4
"""llama.cpp's converter writes adapters in F32 unless told otherwise (convert_lora_to_gguf.py of
llama-cpp-python 0.3.36, 2026-10-01)."""
MAX_RANK: Final = 4096
"""Beyond it an adapter would be as large as what it adapts."""


def lora_rows(arch: Architecture, rank: int) -> Iterator[tuple[str, int]]:
    """(tensor name, bytes) of an adapter of that rank on every matrix of every layer, experts included.

    Raises `ConfigError` for a family without rules.
    """
    for row in tensors(arch):
        if row.keep_f32 or not row.name.startswith("blk."):
            continue
        n_in, n_out, *n_experts = row.shape
        yield f"{row.name}.lora_a", F32_BYTES * rank * n_in * prod(n_experts)
        yield f"{row.name}.lora_b", F32_BYTES * rank * n_out * prod(n_experts)


def with_adapter(weights: Weights, arch: Architecture, rows: Iterable[tuple[str, int]]) -> Weights:
    """The weights with an adapter beside them, each row of it where the tensor lies that it adapts."""
    adapter = weights_of(arch, rows)
    experts = adapter.experts or (0,) * arch.n_layers
    return weights.model_copy(
        update={
            "input_bytes": weights.input_bytes + adapter.input_bytes,
            "output_bytes": weights.output_bytes + adapter.output_bytes,
            "layers": tuple(a + b for a, b in zip(weights.layers, adapter.layers, strict=True)),
            "experts": tuple(a + b for a, b in zip(weights.experts, experts, strict=True))
            if weights.experts
            else (),
        }
    )
