"""What a GGUF header says beside the architecture."""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import Final

from advisor.errors import GgufError
from advisor.gguf.header import GgufHeader
from advisor.i18n import _

_FILE_TYPES: Final = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4",
}
"""general.file_type: llama.cpp's `llama_ftype` (include/llama.h, llama-cpp-python 0.3.36, 2026-10-01)."""
_GUESSED: Final = 1024
"""Flag that llama.cpp adds to a file type it guessed."""
MAX_NAME: Final = 200
"""Characters of a model's name; longer ones are a description."""


def tensor_sizes(header: GgufHeader) -> tuple[tuple[str, int], ...]:
    """(name, bytes without padding) of every tensor, in the order of the file."""
    return tuple((tensor.name, tensor.size_bytes) for tensor in header.tensors)


def quantization_name(header: GgufHeader) -> str:
    """The quantization that the file says it is, else the type that most of its weights have.

    Raises `GgufError` for a file without weights.
    """
    file_type = header.metadata.get("general.file_type")
    if isinstance(file_type, int) and (name := _FILE_TYPES.get(file_type & ~_GUESSED)):
        return name
    weights: Counter[str] = Counter()
    for tensor in header.tensors:
        weights[tensor.type_name] += prod(tensor.shape)
    if not weights:
        raise GgufError(_("the file holds no tensors, so it has no quantization"))
    return weights.most_common(1)[0][0]


def model_name(header: GgufHeader) -> str | None:
    """The model's own name on one line; None where the file does not give it."""
    name = header.metadata.get("general.name")
    if not isinstance(name, str):
        return None
    return "".join(c if c.isprintable() else " " for c in name[:MAX_NAME]).strip() or None
