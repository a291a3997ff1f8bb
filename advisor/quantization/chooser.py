"""Applying a mix to the tensors of one model.

Source: src/llama-quant.cpp of llama-cpp-python 0.3.36 (2026-10-01).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from advisor.architecture import Architecture
from advisor.errors import ConfigError
from advisor.i18n import _
from advisor.quantization.mixes import MIXES, Mix, Rule, Spot
from advisor.tensor_types import GGML_TYPES
from advisor.tensors import Tensor

_UNQUANTIZED: Final = frozenset({"F32", "F16", "BF16"})
_CONVERTED_TO_F32: Final = "indexer.proj.weight"
"""Stays F32 where the converter writes the file, though the quantizer quantizes it (conversion/base.py)."""

_FALLBACK: Final = {
    **dict.fromkeys(("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS"), "IQ4_NL"),
    **dict.fromkeys(("Q2_0", "Q2_K", "Q3_K", "TQ1_0", "TQ2_0"), "Q4_0"),
    "Q4_K": "Q5_0",
    "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
}
"""Blocks of 32 where a row is not a multiple of the type's own block."""
_SMALL_BLOCK: Final = 32
"""Types of such blocks have no fallback: what they do not divide is stored as F16."""

_EMBEDDINGS: Final = ("token_embd.weight", "per_layer_token_embd.weight")
"""Tables that are quantized like an output matrix where the model has none of its own."""
_FUSED_QKV: Final = "attn_qkv.weight"
_V_LIKE: Final = ("attn_v.weight", _FUSED_QKV, "attn_kv_b.weight")
_FROZEN: Final = ("per_layer_model_proj", "altup", "laurel")
"""Matrices that keep 16 bits under every quantization."""
_GROUPED_80_LAYERS: Final = frozenset({"llama"})
"""Families whose 80-layer models are "70B" to llama.cpp: their small V gets a better type."""
_EIGHTY_LAYERS: Final = frozenset({"qwen2", "deci"})
"""The same whatever the head counts."""
_EIGHT: Final = 8
"""Experts of Mixtral, whose attention matrices are small beside them."""


def quantize(
    arch: Architecture, rows: Sequence[Tensor], quantization: str, mixes: Mapping[str, Mix] = MIXES
) -> tuple[str, ...]:
    """The ggml type of every tensor, in the order given, by the recipe of that name in `mixes`.

    Raises `ConfigError` for a quantization without a rule, or one that the model cannot have.
    """
    mix = mixes.get(quantization)
    if mix is None:
        raise ConfigError(
            _("no rule for the quantization {quantization!r}; known: {known}").format(
                quantization=quantization, known=", ".join(mixes)
            )
        )
    if quantization == "MXFP4" and arch.moe is None:
        raise ConfigError(_("MXFP4 is a quantization of expert matrices; this model has no experts"))
    chooser = _Chooser(arch, rows, quantization, mix)
    return tuple(_divide(row, chooser.type_of(row)) for row in rows)


def _divide(row: Tensor, type_name: str) -> str:
    """The type itself, or the fallback whose block divides the row."""
    n, block = row.shape[0], GGML_TYPES[type_name].block
    if n % block == 0:
        return type_name
    fallback = _FALLBACK.get(type_name)
    if fallback is None and block > _SMALL_BLOCK:
        raise ConfigError(
            _("{type_name} needs rows of a multiple of {block}, but {tensor} has {n}").format(
                type_name=type_name, block=block, tensor=row.name, n=n
            )
        )
    return fallback if fallback and n % GGML_TYPES[fallback].block == 0 else "F16"


class _Chooser:
    """Applies a mix to the tensors of one model; it knows each tensor's place among its peers."""

    def __init__(self, arch: Architecture, rows: Iterable[Tensor], name: str, mix: Mix) -> None:
        names = [row.name for row in rows if not row.keep_f32]
        self.name, self.mix = name, mix
        self.tied = "output.weight" not in names
        self.n_layers = arch.n_layers + arch.n_mtp_layers
        self.n_experts = arch.moe.n_experts if arch.moe else 0
        # Recurrent first layers have no KV heads, and llama.cpp looks at the first layer.
        first_has_heads = arch.layers[0].kind.has_attention or arch.family.startswith("qwen3")
        self.gqa = 1 if arch.is_bert else arch.n_heads // arch.n_kv_heads if first_has_heads else 0
        if arch.mla and first_has_heads:
            self.gqa = arch.n_heads  # llama.cpp stores latent attention as one KV head
        grouped_80 = arch.family in _GROUPED_80_LAYERS and arch.n_heads != arch.n_kv_heads
        self.is_70b = arch.n_layers == 80 and (grouped_80 or arch.family in _EIGHTY_LAYERS)
        order = sorted(names, key=lambda n: (_layer(n), n))
        self.v_index = _numbered(n for n in order if n.endswith(_V_LIKE))
        self.down_index = _numbered(n for n in order if "ffn_down" in n)
        self.gate_index = _numbered(n for n in order if "ffn_gate" in n)
        self.up_index = _numbered(n for n in order if "ffn_up" in n)

    def type_of(self, row: Tensor) -> str:
        """The type before the row's length is looked at."""
        if row.is_table:
            return "I32"
        if row.keep_f32 or self.name == "F32":
            return "F32"
        if row.native_mxfp4 and self.name in ("F16", "BF16", "MXFP4"):
            return "MXFP4"
        if self.name in _UNQUANTIZED:
            return "F32" if row.name.endswith(_CONVERTED_TO_F32) else self.mix.base
        if any(part in row.name for part in _FROZEN):
            return "F16"
        if row.name == "output.weight" or (self.tied and row.name in _EMBEDDINGS):
            return self._output_type(row)
        if self.name == "MXFP4":
            return "MXFP4" if len(row.shape) == 3 else "Q8_0"
        return self._by_role(row.name) or self.mix.base

    def _output_type(self, row: Tensor) -> str:
        if row.shape[0] % GGML_TYPES[self.mix.base].block:
            return "Q8_0"
        return (self.mix.tied if self.tied else None) or self.mix.output

    def _by_role(self, name: str) -> str | None:
        """The mix's exception for a tensor; None where it makes none."""
        if name in _EMBEDDINGS:
            return self.mix.token_embd
        if name in self.v_index:
            return self._v_type(name)
        if name in self.down_index:
            return self._at(self.mix.ffn_down, self.down_index, name, by_count=self.mix.counts_down)
        for index in (self.gate_index, self.up_index):
            if name in index:
                return self._at(self.mix.ffn_gate_up, index, name)
        return self._attention_type(name)

    def _attention_type(self, name: str) -> str | None:
        if name.endswith("attn_k.weight") and self.n_experts == _EIGHT:
            return self.mix.eight_kv
        if name.endswith(("attn_q.weight", "attn_k.weight")):
            return self.mix.attn_qk
        if name.endswith("attn_output.weight"):
            return self.mix.eight_output if self.n_experts == _EIGHT else self.mix.attn_output
        return None

    def _v_type(self, name: str) -> str | None:
        mix = self.mix
        if self.n_experts == _EIGHT:
            return mix.eight_kv
        own_rule = mix.attn_qkv if name.endswith(_FUSED_QKV) else None
        spot = Spot(self.v_index[name], len(self.v_index), self.gqa, self.n_experts)
        rule = own_rule or mix.attn_v
        type_name = (rule and rule(spot)) or mix.base
        return "Q5_K" if self.is_70b and mix.spares_v_of_70b and type_name in ("Q3_K", "Q4_K") else type_name

    def _at(
        self, rule: Rule | None, index: Mapping[str, int], name: str, *, by_count: bool = False
    ) -> str | None:
        """What a rule says of a feed-forward matrix: experts go by their layer's number."""
        if rule is None:
            return None
        place = _layer(name) if self.n_experts and not by_count else index[name]
        return rule(Spot(place, self.n_layers, self.gqa, self.n_experts))


def _numbered(names: Iterable[str]) -> dict[str, int]:
    return {name: i for i, name in enumerate(names)}


def _layer(name: str) -> int:
    """The block number in a tensor's name; -1 for tensors outside the blocks."""
    return int(name.split(".", 2)[1]) if name.startswith("blk.") else -1
