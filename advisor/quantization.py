"""Which type each tensor gets: llama.cpp's per-tensor mixes, by rule.

"Q4_K_M" is a recipe, not a type: values and down projections of some layers, the output matrix and rows
that a block does not divide get other types. A mix (`MIXES`) names the recipe; `quantize` applies it.
Source: src/llama-quant.cpp of llama-cpp-python 0.3.36 (2026-10-01), without an importance matrix.
Files made by older versions, or by packagers' own recipes, differ: a file that exists is exact by its header.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from advisor.architecture import Architecture
from advisor.errors import ConfigError
from advisor.tensor_types import GGML_TYPES
from advisor.tensors import Tensor


class Spot(NamedTuple):
    """Where a tensor stands among the tensors of its role."""

    i: int
    """Its number among them, or its layer's number."""
    n: int
    """How many there are."""
    gqa: int
    """Query heads per KV head, which decide how dear a better type for V is."""


Rule = Callable[[Spot], str | None]
"""The type at a spot; None keeps the mix's base type."""


def _always(type_name: str) -> Rule:
    return lambda spot: type_name


def _first(count: int, type_name: str, other: str | None = None) -> Rule:
    return lambda spot: type_name if spot.i < count else other


def _first_share(share: int, type_name: str, other: str | None = None) -> Rule:
    return lambda spot: type_name if spot.i < spot.n // share else other


def _grouped(type_name: str, other: str | None = None) -> Rule:
    """Where four or more query heads share a KV head."""
    return lambda spot: type_name if spot.gqa >= 4 else other


def _more_bits(type_name: str) -> Rule:
    """The first and last eighth of the layers, and every third one between."""

    def rule(spot: Spot) -> str | None:
        eighth = spot.n // 8
        outer = spot.i < eighth or spot.i >= 7 * spot.n // 8
        return type_name if outer or (spot.i - eighth) % 3 == 2 else None

    return rule


class Mix(NamedTuple):
    """A recipe: its base type, and the exceptions by role."""

    base: str
    attn_v: Rule | None = None
    ffn_down: Rule | None = None
    attn_output: str | None = None


MIXES: Final = {
    "F32": Mix("F32"),
    "F16": Mix("F16"),
    "BF16": Mix("BF16"),
    "Q8_0": Mix("Q8_0"),
    "Q6_K": Mix("Q6_K"),
    "Q5_K_M": Mix("Q5_K", _more_bits("Q6_K"), _more_bits("Q6_K")),
    "Q5_K_S": Mix("Q5_K"),
    "Q5_1": Mix("Q5_1"),
    "Q5_0": Mix("Q5_0"),
    "Q4_K_M": Mix("Q4_K", _more_bits("Q6_K"), _more_bits("Q6_K")),
    "Q4_K_S": Mix("Q4_K", _first(4, "Q5_K"), _first_share(8, "Q5_K")),
    "Q4_1": Mix("Q4_1"),
    "Q4_0": Mix("Q4_0"),
    "IQ4_NL": Mix("IQ4_NL", _grouped("Q5_K"), _first_share(8, "Q5_K")),
    "IQ4_XS": Mix("IQ4_XS", _grouped("Q5_K"), _first_share(8, "Q5_K")),
    "Q3_K_L": Mix("Q3_K", _always("Q5_K"), _always("Q5_K"), "Q5_K"),
    "Q3_K_M": Mix("Q3_K", _first(2, "Q5_K", "Q4_K"), _first_share(16, "Q5_K", "Q4_K"), "Q4_K"),
    "Q3_K_S": Mix("Q3_K"),
    "Q2_K": Mix("Q2_K", _grouped("Q4_K", "Q3_K"), _always("Q3_K"), "Q3_K"),
    "MXFP4": Mix("MXFP4"),
}
"""GGUF quantizations that can be computed without a file, best first within each width."""


def base_bits(quantization: str) -> float:
    """Bits a weight of a mix's base type; 16 for a name that is no GGUF quantization."""
    mix = MIXES.get(quantization)
    return 16.0 if mix is None else GGML_TYPES[mix.base].bits_per_weight


UNQUANTIZED: Final = frozenset({"F32", "F16", "BF16"})

_FALLBACK: Final = {
    "Q2_K": "Q4_0",
    "Q3_K": "Q4_0",
    "Q4_K": "Q5_0",
    "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
    "IQ4_XS": "IQ4_NL",
}
"""Blocks of 32 instead of 256 where a row is not a multiple of 256."""

_EIGHT_EXPERT_OUTPUT: Final = frozenset({"Q2_K", "Q3_K_S", "Q3_K_M", "IQ4_NL", "Q4_K_S", "Q4_K_M", "IQ4_XS"})
"""Mixes that give attn_output Q5_K in models of eight experts (Mixtral)."""

_EMBEDDINGS: Final = ("token_embd.weight", "per_layer_token_embd.weight")
"""Tables that are quantized like an output matrix where the model has none of its own."""
_V_LIKE: Final = ("attn_v.weight", "attn_qkv.weight", "attn_kv_b.weight")
_FROZEN: Final = ("per_layer_model_proj",)
"""Matrices that keep 16 bits under every quantization."""
_GROUPED_80_LAYERS: Final = frozenset({"llama"})
"""Families whose 80-layer models are "70B" to llama.cpp: their small V gets a better type."""
_EIGHTY_LAYERS: Final = frozenset({"qwen2"})
"""The same whatever the head counts."""


def quantize(arch: Architecture, rows: Sequence[Tensor], quantization: str) -> tuple[str, ...]:
    """The ggml type of every tensor, in the order given.

    Raises `ConfigError` for a quantization without a rule.
    """
    mix = MIXES.get(quantization)
    if mix is None:
        raise ConfigError(f"no rule for the quantization {quantization!r}; known: {', '.join(MIXES)}")
    if quantization == "MXFP4" and arch.moe is None:
        raise ConfigError("MXFP4 is a quantization of expert matrices; this model has no experts")
    chooser = _Chooser(arch, rows, quantization, mix)
    return tuple(_divide(row, chooser.type_of(row)) for row in rows)


def _divide(row: Tensor, type_name: str) -> str:
    """The type itself, or the fallback whose block divides the row."""
    for candidate in (type_name, _FALLBACK.get(type_name, type_name)):
        if row.shape[0] % GGML_TYPES[candidate].block == 0:
            return candidate
    return "F16"


class _Chooser:
    """Applies a mix to the tensors of one model; it knows each tensor's place among its peers."""

    def __init__(self, arch: Architecture, rows: Iterable[Tensor], name: str, mix: Mix) -> None:
        names = [row.name for row in rows]
        self.name, self.mix = name, mix
        self.tied = "output.weight" not in names
        self.by_layer = arch.moe is not None
        self.n_layers = arch.n_layers + arch.n_mtp_layers
        self.eight_experts = arch.moe is not None and arch.moe.n_experts == 8
        # Recurrent first layers have no KV heads, and llama.cpp looks at the first layer.
        first_has_heads = arch.layer_pattern[0] != "r" or arch.family.startswith("qwen3")
        self.gqa = 1 if arch.is_encoder else arch.n_heads // arch.n_kv_heads if first_has_heads else 0
        if arch.mla:
            self.gqa = arch.n_heads  # llama.cpp stores latent attention as one KV head
        grouped_80 = arch.family in _GROUPED_80_LAYERS and arch.n_heads != arch.n_kv_heads
        self.is_70b = arch.n_layers == 80 and (grouped_80 or arch.family in _EIGHTY_LAYERS)
        order = sorted(names, key=lambda n: (_layer(n), n))
        self.v_index = {n: i for i, n in enumerate(n for n in order if n.endswith(_V_LIKE))}
        self.down_index = {n: i for i, n in enumerate(n for n in order if _is_ffn_down(n))}

    def type_of(self, row: Tensor) -> str:
        """The type before the row's length is looked at."""
        if row.keep_f32:
            return "F32"
        if self.name == "F32":
            return "F32"
        if row.native_mxfp4 and self.name in ("F16", "BF16", "MXFP4"):
            return "MXFP4"
        if self.name in UNQUANTIZED:
            return self.mix.base
        if any(part in row.name for part in _FROZEN):
            return "F16"
        return self._quantized(row)

    def _quantized(self, row: Tensor) -> str:
        name, mix = row.name, self.mix
        if name == "output.weight" or (self.tied and name in _EMBEDDINGS):
            return self._output_type(row)
        if self.name == "MXFP4":
            return "MXFP4" if len(row.shape) == 3 else "Q8_0"
        if name in self.v_index:
            return self._v_type(Spot(self.v_index[name], len(self.v_index), self.gqa))
        if name in self.down_index:
            place = _layer(name) if self.by_layer else self.down_index[name]
            return (mix.ffn_down and mix.ffn_down(Spot(place, self.n_layers, self.gqa))) or mix.base
        if name.endswith("attn_k.weight") and self.eight_experts:
            return "Q8_0"
        if name.endswith("attn_output.weight"):
            if self.eight_experts:
                return "Q5_K" if self.name in _EIGHT_EXPERT_OUTPUT else mix.base
            return mix.attn_output or mix.base
        return mix.base

    def _output_type(self, row: Tensor) -> str:
        base = self.mix.base
        if self.name == "MXFP4" or base == "Q8_0" or row.shape[0] % GGML_TYPES[base].block:
            return "Q8_0"
        return "Q6_K"

    def _v_type(self, spot: Spot) -> str:
        if self.eight_experts:
            return "Q8_0"
        type_name = (self.mix.attn_v and self.mix.attn_v(spot)) or self.mix.base
        return "Q5_K" if self.is_70b and type_name in ("Q3_K", "Q4_K") else type_name


def _is_ffn_down(name: str) -> bool:
    return "ffn_down" in name and name.endswith(".weight")


def _layer(name: str) -> int:
    """The block number in a tensor's name; -1 for tensors outside the blocks."""
    return int(name.split(".", 2)[1]) if name.startswith("blk.") else -1
