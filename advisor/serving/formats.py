"""Weights in the formats that engines other than llama.cpp load, by the format's name."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, prod
from typing import Final

from advisor.architecture import Architecture
from advisor.errors import ConfigError
from advisor.hf_quantization import hf_weights, scheme_named
from advisor.hf_quantization.named import NAMES as HUB_FORMATS
from advisor.i18n import _
from advisor.tensors import Tensor, tensors
from advisor.usecase import Backend
from advisor.weights import Weights, weights_of

PLAIN_BITS: Final = 16.0
"""Norms, routers, and what a format leaves alone."""

WHOLE_BITS: Final[Mapping[str, float]] = {
    "4bit": 4 + 2 * 16 / 64,  # MLX: a 16-bit scale and bias for 64 values
    "8bit": 8 + 2 * 16 / 64,
}
"""Bits of every matrix by MLX's formats, embedding and output matrix included."""
ONNX_BITS: Final = 4 + 16 / 32
"""ONNX Runtime GenAI's int4, the output matrix included: a 16-bit scale for 32 values."""

NAMES: Final = (*HUB_FORMATS, *WHOLE_BITS, "INT4")
_OWN: Final[Mapping[str, tuple[str, ...]]] = {
    "mlx": ("BF16", "F16", "MXFP4", *WHOLE_BITS),
    "onnx": ("INT4", "F16"),
}
"""What engines read that have formats of their own; the others read everything but those."""


LESS_AND_LESS: Final = ("BF16", "FP8", "8bit", "W4A16", "4bit")
"""Formats to try in turn where a model does not fit."""


def formats_of(backend: Backend) -> tuple[str, ...]:
    """The formats that an engine loads."""
    return _OWN.get(backend, HUB_FORMATS)


def default_format(arch: Architecture, backend: Backend) -> str:
    """What a checkpoint for the engine usually is: the maker's own, or the engine's quantization."""
    if backend == "mlx":
        return "4bit"
    if backend == "onnx":
        return "INT4"
    return "MXFP4" if arch.family == "gpt-oss" else "BF16"


def engine_weights(arch: Architecture, quantization: str) -> Weights:
    """The weights of a checkpoint in the named format, whether or not one exists.

    Raises `ConfigError` for a format without rules, or a family without rules.
    """
    if quantization in HUB_FORMATS:
        return hf_weights(arch, scheme_named(quantization))
    if quantization not in NAMES:
        raise ConfigError(
            _("{quantization} is not a format of checkpoints; known: {known}").format(
                quantization=quantization, known=", ".join(NAMES)
            )
        )
    rows = tensors(arch)
    sizes = ((row.name, ceil(prod(row.shape) * _bits(row, quantization) / 8)) for row in rows)
    return weights_of(arch, sizes)


def _bits(row: Tensor, quantization: str) -> float:
    if row.keep_f32:
        return PLAIN_BITS
    if quantization in WHOLE_BITS:
        return WHOLE_BITS[quantization]
    return PLAIN_BITS if row.name.startswith("token_embd") else ONNX_BITS
