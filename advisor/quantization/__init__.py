"""Which type each tensor gets: llama.cpp's per-tensor mixes, by rule.

"Q4_K_M" is a recipe, not a type: values and down projections of some layers, the output matrix and rows
that a block does not divide get other types. A mix (`mixes`) names the recipe; `quantize` applies it.
Files made by older versions (`OLDER`), or by packagers' own recipes, differ: a file that exists is exact by
its header.
"""

from __future__ import annotations

from advisor.quantization.chooser import quantize
from advisor.quantization.mixes import MIXES, OLDER, WITH_IMATRIX, WITHOUT_IMATRIX, Mix, OlderRecipe
from advisor.tensor_types import GGML_TYPES

__all__ = [
    "MIXES",
    "OLDER",
    "WITHOUT_IMATRIX",
    "WITH_IMATRIX",
    "Mix",
    "OlderRecipe",
    "base_bits",
    "quantize",
]


def base_bits(quantization: str) -> float:
    """Bits a weight of a mix's base type; 16 for a name that is no GGUF quantization."""
    mix = MIXES.get(quantization)
    return 16.0 if mix is None else GGML_TYPES[mix.base].bits_per_weight
