"""ggml's tensor types: how many bytes a block of weights takes.

Block sizes are part of the file format and never change; a test holds the table against the `gguf` package.
"""

from __future__ import annotations

from typing import Final, NamedTuple

ALIGNMENT: Final = 32
"""Every tensor starts at a multiple of this (GGUF's default, and the CPU buffer's)."""


class TensorType(NamedTuple):
    """A storage format of weights."""

    block: int
    """Values a block."""
    bytes: int
    """Bytes a block."""

    @property
    def bits_per_weight(self) -> float:
        return 8 * self.bytes / self.block


GGML_TYPES: Final = {
    "F32": TensorType(1, 4),
    "F16": TensorType(1, 2),
    "BF16": TensorType(1, 2),
    "F64": TensorType(1, 8),
    "I8": TensorType(1, 1),
    "I16": TensorType(1, 2),
    "I32": TensorType(1, 4),
    "I64": TensorType(1, 8),
    "Q4_0": TensorType(32, 18),
    "Q4_1": TensorType(32, 20),
    "Q5_0": TensorType(32, 22),
    "Q5_1": TensorType(32, 24),
    "Q8_0": TensorType(32, 34),
    "Q2_K": TensorType(256, 84),
    "Q3_K": TensorType(256, 110),
    "Q4_K": TensorType(256, 144),
    "Q5_K": TensorType(256, 176),
    "Q6_K": TensorType(256, 210),
    "IQ1_S": TensorType(256, 50),
    "IQ1_M": TensorType(256, 56),
    "IQ2_XXS": TensorType(256, 66),
    "IQ2_XS": TensorType(256, 74),
    "IQ2_S": TensorType(256, 82),
    "IQ3_XXS": TensorType(256, 98),
    "IQ3_S": TensorType(256, 110),
    "IQ4_NL": TensorType(32, 18),
    "IQ4_XS": TensorType(256, 136),
    "TQ1_0": TensorType(256, 54),
    "TQ2_0": TensorType(256, 66),
    "MXFP4": TensorType(32, 17),
    "NVFP4": TensorType(64, 36),
    "Q1_0": TensorType(128, 18),
    "Q2_0": TensorType(64, 18),
}

GGML_TYPE_NUMBERS: Final = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    6: "Q5_0",
    7: "Q5_1",
    8: "Q8_0",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    20: "IQ4_NL",
    21: "IQ3_S",
    22: "IQ2_S",
    23: "IQ4_XS",
    24: "I8",
    25: "I16",
    26: "I32",
    27: "I64",
    28: "F64",
    29: "IQ1_M",
    30: "BF16",
    34: "TQ1_0",
    35: "TQ2_0",
    39: "MXFP4",
    40: "NVFP4",
    41: "Q1_0",
    42: "Q2_0",
}
"""The numbers that GGUF files store for them."""


def tensor_bytes(shape: tuple[int, ...], type_name: str) -> int:
    """Bytes of a tensor's data, without padding.

    The first dimension is the row; a row of a quantized type is a whole number of blocks.
    """
    elements = 1
    for n in shape:
        elements *= n
    block, size = GGML_TYPES[type_name]
    return elements // block * size
