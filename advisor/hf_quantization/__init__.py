"""Checkpoints of the Hugging Face hub: how they are quantized, and how many bytes that makes.

`scheme_of` reads a `config.json` (and modelopt's `hf_quant_config.json`); `scheme_named` gives the usual
scheme of a name ("AWQ"); `hf_weights(arch, scheme)` is what an engine loads, by layer, and `hf_file_bytes`
what the files hold.
"""

from __future__ import annotations

from advisor.hf_quantization.named import scheme_named
from advisor.hf_quantization.parser import scheme_of
from advisor.hf_quantization.scheme import HfQuantization
from advisor.hf_quantization.weights import HfTensor, hf_file_bytes, hf_tensors, hf_weights

__all__ = [
    "HfQuantization",
    "HfTensor",
    "hf_file_bytes",
    "hf_tensors",
    "hf_weights",
    "scheme_named",
    "scheme_of",
]
