"""From an architecture to its tensor list, as llama.cpp's converter writes it.

A family is a row of facts (`families`), a layer is a mixer (`attention`, `recurrent`) and a feed-forward
block (`feed_forward`), and each kind of block lists its tensors once. Shapes are in ggml's order: the first
dimension is the row.
Source: the model loaders of llama.cpp (src/models/) as of llama-cpp-python 0.3.36, 2026-10-01; every family
is held against llama.cpp itself in the tests.
"""

from __future__ import annotations

from collections.abc import Iterator

from advisor.architecture import Architecture, Layer
from advisor.tensors.attention import attention, latent_attention
from advisor.tensors.ends import input_tensors, output_tensors
from advisor.tensors.families import FAMILIES, Family, family_of
from advisor.tensors.feed_forward import experts, feed_forward
from advisor.tensors.recurrent import recurrent
from advisor.tensors.tensor import Tensor, f32, matrix, norm

__all__ = ["FAMILIES", "Family", "Tensor", "family_of", "tensors"]


def tensors(arch: Architecture) -> tuple[Tensor, ...]:
    """Every tensor of the model's GGUF, multi-token-prediction blocks left out.

    Raises `ConfigError` for a family that has no rules yet.
    """
    family = family_of(arch)
    rows = [*input_tensors(arch), *output_tensors(arch, family)]
    for i, layer in enumerate(arch.layers):
        prefix = f"blk.{i}."
        rows += (row._replace(name=prefix + row.name) for row in _layer(arch, family, layer))
    return tuple(rows)


def _layer(arch: Architecture, family: Family, layer: Layer) -> Iterator[Tensor]:
    for name in family.norms:
        yield f32(f"{name}.weight", arch.n_embd)
    if layer.kind.has_state:
        assert arch.recurrent is not None  # the architecture was checked when it was made
        yield from recurrent(arch.n_embd, arch.recurrent, family)
    if layer.kind.has_attention:
        yield from latent_attention(arch, arch.mla) if arch.mla else attention(arch, family, layer)
    if layer.has_experts:
        assert arch.moe is not None
        yield from experts(arch.n_embd, family, arch.moe)
    if layer.n_ff:
        yield from feed_forward(arch.n_embd, family, layer.n_ff)
    if arch.is_bert:
        yield from norm("attn_output_norm", arch.n_embd, bias=True)
        yield from norm("layer_output_norm", arch.n_embd, bias=True)
    if arch.family == "gemma4":
        yield from _gemma4_extras(arch)


def _gemma4_extras(arch: Architecture) -> Iterator[Tensor]:
    """Scale of the layer's output, norms around the experts, and the per-layer embedding's projections."""
    n = arch.n_embd
    yield f32("layer_output_scale.weight", 1)
    if arch.moe:
        yield f32("ffn_gate_inp.scale", n)
        yield f32("pre_ffw_norm_2.weight", n)
        yield f32("post_ffw_norm_1.weight", n)
        yield f32("post_ffw_norm_2.weight", n)
        yield f32("ffn_down_exps.scale", arch.moe.n_experts)
    if arch.per_layer_embeddings:
        width = arch.per_layer_embeddings.n_embd
        yield matrix("inp_gate", n, width)
        yield matrix("proj", width, n)
        yield f32("post_norm.weight", n)
