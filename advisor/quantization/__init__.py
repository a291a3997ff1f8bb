"""Which type each tensor gets: llama.cpp's per-tensor mixes, by rule.

"Q4_K_M" is a recipe, not a type: values and down projections of some layers, the output matrix and rows
that a block does not divide get other types. A mix (`mixes`) names the recipe; `quantize` applies it.
Files made by older versions (`OLDER`), or by packagers' own recipes, differ: a file that exists is exact by
its header.
"""

from __future__ import annotations

from typing import Final

from advisor.quantization.chooser import quantize
from advisor.quantization.mixes import MIXES, OLDER, WITH_IMATRIX, WITHOUT_IMATRIX, Mix, OlderRecipe
from advisor.tensor_types import GGML_TYPES

__all__ = [
    "DEFAULT_ENCODER_QUANTIZATION",
    "DEFAULT_QUANTIZATION",
    "MIXES",
    "OLDER",
    "WITHOUT_IMATRIX",
    "WITH_IMATRIX",
    "Mix",
    "OlderRecipe",
    "base_bits",
    "quantize",
]


DEFAULT_QUANTIZATION: Final = "Q4_K_M"
"""What most published files are, and the smallest that keeps a model's quality nearly whole."""
DEFAULT_ENCODER_QUANTIZATION: Final = "Q8_0"
"""Encoders are small, and their vectors suffer more."""


def base_bits(quantization: str) -> float:
    """Bits a weight of a mix's base type; 16 for a name that is no GGUF quantization."""
    mix = MIXES.get(quantization)
    return 16.0 if mix is None else GGML_TYPES[mix.base].bits_per_weight
