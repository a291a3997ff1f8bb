"""How checkpoints store one quantized matrix, and how many bytes that takes.

Sources (read 2026-11-21): vLLM 0.33.0, vllm/model_executor/layers/quantization/ (the parameters that every
format loads); bitsandbytes 0.46, functional.py (QuantState); llama.cpp's converter for modelopt's layout.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final, NamedTuple

from advisor.value import Value

F32: Final = 32
F16: Final = 16


class Scale(NamedTuple):
    """Numbers stored beside the weights, each for a block of them."""

    bits: int
    rows: int | None = 1
    """Outputs that share one; None: all."""
    columns: int | None = None
    """Inputs that share one; None: all."""

    def stored(self, n_out: int, n_in: int) -> int:
        down = ceil(n_out / self.rows) if self.rows else 1
        across = ceil(n_in / self.columns) if self.columns else 1
        return down * across


class WeightFormat(Value):
    """The storage of a quantized matrix of n_out × n_in."""

    name: str
    bits: float
    """Of one weight."""
    scales: tuple[Scale, ...] = ()
    """Scales and zero points."""
    bytes_per_input: int = 0
    """GPTQ's g_idx: the group of every input."""
    bytes_per_matrix: int = 0
    """Scales of whole matrices and of activations, and shapes."""

    def stored_bytes(self, n_out: int, n_in: int) -> int:
        """Bytes of one matrix with everything that belongs to it."""
        bits = n_out * n_in * self.bits + sum(s.bits * s.stored(n_out, n_in) for s in self.scales)
        return ceil(bits / 8) + self.bytes_per_input * n_in + self.bytes_per_matrix


def awq(bits: int = 4, group: int = 128) -> WeightFormat:
    """Packed weights, packed zero points and half-precision scales."""
    columns = _columns(group)
    scales = (Scale(F16, columns=columns), Scale(bits, columns=columns))
    return WeightFormat(name=f"AWQ {bits} bit", bits=bits, scales=scales)


def gptq(bits: int = 4, group: int = 128) -> WeightFormat:
    """The same with the group of every input; symmetric models store their zero points all the same."""
    like = awq(bits, group)
    return WeightFormat(name=f"GPTQ {bits} bit", bits=bits, scales=like.scales, bytes_per_input=4)


def fp8(scale: Scale, *, static_activations: bool) -> WeightFormat:
    """8-bit floats; a static scale of the activations takes 4 bytes a matrix."""
    return WeightFormat(name="FP8", bits=8, scales=(scale,), bytes_per_matrix=4 * static_activations)


FP8_BLOCK: Final = 128


def fp8_blocks(rows: int = FP8_BLOCK, columns: int = FP8_BLOCK, scale_bits: int = F32) -> WeightFormat:
    """DeepSeek's: an inverse scale for a block of weights; activations are scaled as they come."""
    return fp8(Scale(scale_bits, rows, columns), static_activations=False)


MODELOPT: Final[Mapping[str, WeightFormat]] = {
    # A scale of the weights and one of the activations, in F32.
    "FP8": WeightFormat(name="FP8", bits=8, bytes_per_matrix=8),
    "FP8_PER_CHANNEL_PER_TOKEN": fp8(Scale(F32), static_activations=False),
    "FP8_PB_WO": fp8_blocks(),
    # An FP8 scale for 16 weights, an F32 scale of the whole, and one of the activations.
    "NVFP4": WeightFormat(name="NVFP4", bits=4, scales=(Scale(8, columns=16),), bytes_per_matrix=8),
    "W4A16_NVFP4": WeightFormat(name="NVFP4", bits=4, scales=(Scale(8, columns=16),), bytes_per_matrix=4),
    "MXFP8": WeightFormat(name="MXFP8", bits=8, scales=(Scale(8, columns=32),)),
    "MXFP4": WeightFormat(name="MXFP4", bits=4, scales=(Scale(8, columns=32),)),
}
"""By modelopt's name of the algorithm."""
MXFP4: Final = MODELOPT["MXFP4"]

_NF4_BLOCK: Final = 64
_NF4_NESTED_BLOCK: Final = 256
_NF4_TABLE_BYTES: Final = 16 * 4
_NF4_NESTED_TABLE_BYTES: Final = 256 * 4
_NF4_STATE_BYTES: Final = 80
"""The state's JSON text (block size, type, shape), which differs by a few bytes with the shape."""


def bnb_4bit(name: str, *, double: bool) -> WeightFormat:
    """The nf4 and fp4 of bitsandbytes: a scale for 64 weights, quantized in turn where statistics double."""
    scale_bits = 8 + F32 / _NF4_NESTED_BLOCK if double else F32
    tables = _NF4_TABLE_BYTES + (_NF4_NESTED_TABLE_BYTES if double else 0)
    return WeightFormat(
        name=f"bitsandbytes {name}",
        bits=4 + scale_bits / _NF4_BLOCK,
        bytes_per_matrix=tables + _NF4_STATE_BYTES,
    )


BNB_INT8: Final = WeightFormat(name="bitsandbytes int8", bits=8, scales=(Scale(F32),), bytes_per_matrix=1)
"""One scale an output (SCB), and one byte that names the layout."""


def _columns(group: int) -> int | None:
    """The inputs that share a scale; -1 means all of them."""
    return group if group > 0 else None
