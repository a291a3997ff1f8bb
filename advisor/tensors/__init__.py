"""From an architecture to its tensor list, as llama.cpp's converter writes it.

A family is a row of facts (`families`), a layer is a mixer (`attention`, `recurrent`) and a feed-forward
block (`feed_forward`), and each kind of block lists its tensors once. Shapes are in ggml's order: the first
dimension is the row.
Source: the model loaders of llama.cpp (src/models/) as of llama-cpp-python 0.3.36, 2026-10-01; every family
is held against llama.cpp itself in the tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from advisor.architecture import Architecture, Layer, LayerKind
from advisor.tensors.attention import attention, latent_attention
from advisor.tensors.ends import input_tensors, output_tensors
from advisor.tensors.families import FAMILIES, Family, family_of
from advisor.tensors.feed_forward import experts, feed_forward
from advisor.tensors.gemma import EXTRAS
from advisor.tensors.recurrent import recurrent
from advisor.tensors.sparse import compressed_attention, hyper_connections, index
from advisor.tensors.tensor import Tensor, f32, norm

__all__ = ["FAMILIES", "Family", "Tensor", "family_of", "tensors"]

REMEMBERED: Final = 16
"""Lists that are kept: one model is asked for its parameters, its weights and its file in turn."""


@lru_cache(maxsize=REMEMBERED)
def tensors(arch: Architecture) -> tuple[Tensor, ...]:
    """Every tensor of the model's GGUF, multi-token-prediction blocks left out.

    Raises `ConfigError` for a family that has no rules yet.
    """
    family = family_of(arch)
    rows = [*input_tensors(arch, family), *output_tensors(arch, family)]
    alike = {layer: tuple(_layer(arch, family, layer)) for layer in dict.fromkeys(arch.layers)}
    for i, layer in enumerate(arch.layers):
        prefix = f"blk.{i}."
        rows += (Tensor(prefix + row.name, *row[1:]) for row in alike[layer])
    if not family.first_layer_norm:
        rows = [row for row in rows if row.name != "blk.0.attn_norm.weight"]
    return tuple(rows)


def _layer(arch: Architecture, family: Family, layer: Layer) -> Iterator[Tensor]:
    yield from _norms(arch.n_embd, family, layer)
    if layer.kind.has_state:
        assert arch.recurrent is not None  # the architecture was checked when it was made
        yield from recurrent(arch.n_embd, arch.recurrent, family)
    if layer.kind.has_attention:
        yield from _attention(arch, family, layer)
        yield from index(arch, layer)
    if layer.has_experts:
        assert arch.moe is not None
        yield from experts(arch.n_embd, family, arch.moe, arch.n_vocab if layer.hashes_experts else 0)
    if layer.n_ff:
        yield from feed_forward(arch.n_embd, family, layer.n_ff)
    yield from hyper_connections(arch)
    if extras := EXTRAS.get(arch.family):
        yield from extras(arch)


def _attention(arch: Architecture, family: Family, layer: Layer) -> Iterator[Tensor]:
    if arch.mla:
        return latent_attention(arch, family, arch.mla)
    if arch.compressed:
        return compressed_attention(arch, arch.compressed, layer)
    return attention(arch, family, layer)


def _norms(n: int, family: Family, layer: Layer) -> Iterator[Tensor]:
    has_mixer = layer.kind is not LayerKind.NONE
    has_block = layer.has_experts or layer.n_ff > 0
    for name in family.norms:
        if not family.norms_follow_blocks or (has_mixer if name.startswith("attn") else has_block):
            yield from norm(name, n, bias=family.norm_bias)
    for name in family.bare_norms:
        yield f32(name, n)
