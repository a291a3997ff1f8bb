"""The recipes behind the names of GGUF quantizations, as data.

Source: llama_tensor_get_type of src/llama-quant.cpp, llama-cpp-python 0.3.36 (2026-10-01).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from advisor.i18n import N_


class Spot(NamedTuple):
    """Where a tensor stands among the tensors of its role."""

    i: int
    """Its number among them, or its layer's number."""
    n: int
    """How many there are."""
    gqa: int
    """Query heads per KV head, which decide how dear a better type for V is."""
    n_experts: int
    """Routed experts a layer; 0 in a dense model."""


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


def _grouped_or_experts(type_name: str, other: str) -> Rule:
    """The same, or where there are four or more experts: V is small beside them."""
    return lambda spot: type_name if spot.gqa >= 4 or spot.n_experts >= 4 else other


def _is_outer(spot: Spot) -> bool:
    """The first and last eighth of the layers."""
    return spot.i < spot.n // 8 or spot.i >= 7 * spot.n // 8


def _more_bits(type_name: str) -> Rule:
    """The first and last eighth of the layers, and every third one between."""

    def rule(spot: Spot) -> str | None:
        return type_name if _is_outer(spot) or (spot.i - spot.n // 8) % 3 == 2 else None

    return rule


def _inner(type_name: str) -> Rule:
    return lambda spot: None if _is_outer(spot) else type_name


def _first_eighth_or_eight_experts(type_name: str) -> Rule:
    """The first eighth of the layers; with eight experts all those that get more bits."""
    first, more = _first_share(8, type_name), _more_bits(type_name)
    return lambda spot: more(spot) if spot.n_experts == 8 else first(spot)


class Mix(NamedTuple):
    """A recipe: its base type, and the exceptions by role."""

    base: str
    attn_v: Rule | None = None
    ffn_down: Rule | None = None
    attn_output: str | None = None
    attn_qk: str | None = None
    """Q and K."""
    attn_qkv: Rule | None = None
    """Q, K and V as one matrix; None: as V."""
    ffn_gate_up: Rule | None = None
    token_embd: str | None = None
    output: str = "Q6_K"
    """The output matrix, or the embedding that serves as one."""
    tied: str | None = None
    """The embedding that serves as output matrix, where it differs."""
    counts_down: bool = False
    """Down projections are numbered one by one even where a layer of experts has several."""
    spares_v_of_70b: bool = True
    """80-layer models get a better V."""
    eight_kv: str = "Q8_0"
    """K and V of models of eight experts (Mixtral)."""
    eight_output: str | None = None
    """Their attention's output; None: the base type."""


def _two_bits(base: str, inner: str, attn_output: str | None, token_embd: str) -> Mix:
    """The recipes around two bits, which share their exceptions; `inner` is their better type."""
    return Mix(
        base,
        attn_v=_grouped_or_experts("Q4_K", inner),
        ffn_down=_first_share(8, inner),
        attn_output=attn_output,
        token_embd=token_embd,
        output="Q5_K",
        counts_down=True,
        spares_v_of_70b=False,
        eight_kv="Q4_K",
        eight_output="Q5_K",
    )


_IQ4 = Mix("IQ4_XS", _grouped("Q5_K"), eight_output="Q5_K")
_IQ3_XXS = Mix(
    "IQ3_XXS",
    _grouped("Q4_K"),
    attn_output="IQ3_S",
    attn_qk="IQ2_S",
    token_embd="IQ3_S",
    output="Q5_K",
    eight_output="Q5_K",
)

MIXES: Final[Mapping[str, Mix]] = {
    "F32": Mix("F32"),
    "F16": Mix("F16"),
    "BF16": Mix("BF16"),
    "Q8_0": Mix("Q8_0", output="Q8_0"),
    "Q6_K": Mix("Q6_K"),
    "Q5_K_M": Mix("Q5_K", _more_bits("Q6_K"), _more_bits("Q6_K")),
    "Q5_K_S": Mix("Q5_K"),
    "Q5_1": Mix("Q5_1"),
    "Q5_0": Mix("Q5_0"),
    "Q4_K_M": Mix("Q4_K", _more_bits("Q6_K"), _more_bits("Q6_K"), eight_output="Q5_K"),
    "Q4_K_S": Mix("Q4_K", _first(4, "Q5_K"), _first_share(8, "Q5_K"), eight_output="Q5_K"),
    "Q4_1": Mix("Q4_1"),
    "Q4_0": Mix("Q4_0"),
    "IQ4_NL": _IQ4._replace(base="IQ4_NL", ffn_down=_first_share(8, "Q5_K")),
    "IQ4_XS": _IQ4._replace(ffn_down=_first_share(8, "Q5_K")),
    "MXFP4": Mix("MXFP4", output="Q8_0"),
    "Q3_K_L": Mix("Q3_K", _always("Q5_K"), _always("Q5_K"), "Q5_K"),
    "Q3_K_M": Mix(
        "Q3_K", _first(2, "Q5_K", "Q4_K"), _first_share(16, "Q5_K", "Q4_K"), "Q4_K", eight_output="Q5_K"
    ),
    "IQ3_M": Mix(
        "IQ3_S", _always("Q4_K"), _first_eighth_or_eight_experts("Q4_K"), "Q4_K", eight_output="Q5_K"
    ),
    "IQ3_S": Mix("IQ3_S", _grouped("Q4_K"), eight_output="Q5_K"),
    "Q3_K_S": Mix("Q3_K", eight_output="Q5_K"),
    "IQ3_XS": Mix(
        "IQ3_S",
        _grouped("Q4_K"),
        attn_qk="IQ3_XXS",
        ffn_gate_up=_inner("IQ3_XXS"),
        eight_output="Q5_K",
    ),
    "IQ3_XXS": _IQ3_XXS,
    "Q2_K": Mix("Q2_K", _grouped("Q4_K", "Q3_K"), _always("Q3_K"), "Q3_K", eight_output="Q5_K"),
    "Q2_K_S": Mix("Q2_K", _grouped("Q4_K"), _first_share(8, "Q4_K")),
    "IQ2_M": _two_bits("IQ2_S", "IQ3_S", "IQ3_S", "IQ3_S"),
    "IQ2_S": _two_bits("IQ2_XS", "IQ3_S", "IQ3_S", "IQ3_S"),
    "IQ2_XS": _two_bits("IQ2_XS", "Q2_K", None, "Q2_K"),
    "Q2_0": Mix("Q2_0", token_embd="Q4_K"),
    "IQ2_XXS": _two_bits("IQ2_XXS", "Q2_K", None, "Q2_K"),
    "TQ2_0": Mix("TQ2_0", token_embd="Q4_K"),
    "IQ1_M": _two_bits("IQ1_M", "Q2_K", "IQ2_XXS", "Q2_K"),
    "TQ1_0": Mix("TQ1_0", token_embd="Q4_K"),
    "IQ1_S": _two_bits("IQ1_S", "Q2_K", "IQ2_XXS", "Q2_K"),
    "Q1_0": Mix("Q1_0"),
}
"""GGUF quantizations that can be computed without a file, widest first.

The types that need an importance matrix as they are with one, the others as they are without: where a
packager gave one to IQ4_XS or IQ4_NL (`WITH_IMATRIX`), the file is up to 1 % smaller.
"""

WITH_IMATRIX: Final[Mapping[str, Mix]] = {
    **MIXES,
    "IQ4_NL": _IQ4._replace(base="IQ4_NL"),
    "IQ4_XS": _IQ4,
    "Q4_0": Mix("Q4_0", ffn_down=_first_share(8, "Q4_1")),
    "Q5_0": Mix("Q5_0", ffn_down=_first_share(8, "Q5_1")),
}
"""Every recipe when an importance matrix is given."""

WITHOUT_IMATRIX: Final[Mapping[str, Mix]] = {
    **MIXES,
    "IQ3_XXS": _IQ3_XXS._replace(attn_v=_grouped("Q4_K", "IQ3_S"), ffn_down=_first_share(8, "Q4_K", "Q3_K")),
}
"""Every recipe when none is given (the quantizer then refuses to write the types that need one)."""


class OlderRecipe(NamedTuple):
    """What llama.cpp's quantizer, or a packager's build of it, did otherwise than the rules above."""

    name: str
    seen: str
    """In which published files."""
    mixes: Mapping[str, Mix]


_OLD_QKV: Final = {"Q3_K_M": "Q4_K", "Q3_K_L": "Q4_K", "IQ3_M": "Q4_K", "Q4_K_M": "Q5_K", "Q5_K_M": "Q6_K"}
"""Fused QKV before it was treated like V; in the mixes not named it had the base type."""


def _with_old_qkv(name: str, mix: Mix) -> Mix:
    return mix._replace(attn_qkv=_always(_OLD_QKV.get(name, mix.base)))


OLDER: Final = (
    OlderRecipe(
        name=N_("fused QKV by a rule of its own"),
        seen=N_("bartowski's Phi-3.5 mini (2024-08) and Phi-4 mini (2025-03)"),
        mixes={name: _with_old_qkv(name, mix) for name, mix in MIXES.items()},
    ),
    OlderRecipe(
        name=N_("fused QKV by a rule of its own, and no better type for a tied embedding"),
        seen=N_("nomic-ai's nomic-embed-text-v1.5 (2024-02)"),
        mixes={name: _with_old_qkv(name, mix)._replace(tied=mix.base) for name, mix in MIXES.items()},
    ),
)
"""Recipes met in published files, newest first."""
