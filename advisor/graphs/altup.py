"""Gemma 3n: several copies of the residual stream (AltUp), of which every layer works on the first.

After llama.cpp's src/models/gemma3n.cpp as of llama-cpp-python 0.3.36 (2026-10-01).
"""

from __future__ import annotations

from typing import Final

from advisor.architecture import Layer, PerLayerEmbeddings
from advisor.graphs.attention import attention
from advisor.graphs.builder import Builder
from advisor.graphs.nodes import Tensor
from advisor.tensors.families import Family

N_SPARSE_LAYERS: Final = 10
"""Leading layers that keep only the largest gates; llama.cpp writes the number into its graph."""


def stack(b: Builder, altup: PerLayerEmbeddings, x: Tensor, pin: int) -> Tensor:
    """The embeddings, and beside them the other copies, scaled to the same length."""
    width, n = x.shape
    length = _length(b, x)
    others = (width, n, altup.n_altup - 1)
    added = Tensor(others, (b.op(others, x),), pin=pin)
    added = b.over(b.over(added, length), _length(b, added))
    return b.op((width, n, altup.n_altup), x, added)


def altup_layer(
    b: Builder, family: Family, layer: Layer, x: Tensor, slices: Tensor, *, is_sparse: bool
) -> Tensor:
    """A layer over all copies; `slices` are the per-layer embeddings."""
    width, n, n_altup = x.shape
    predicted = _predict(b, x)
    active = b.view(predicted, width, n)
    normed = b.norm(active)
    learned = b.over(b.norm(b.mm(b.mm(normed, _laurel_rank(b)), width)), normed)
    cur = b.over(b.norm(attention(b, family, layer, normed)), active)
    cur = b.over(b.over(cur, learned))
    cur = b.over(b.norm(_feed_forward(b, layer, b.norm(cur), is_sparse=is_sparse)), cur)
    corrected = _correct(b, predicted, cur)
    gate = b.over(b.mm(b.weighted(b.view(corrected, width, n)), slices.shape[0]))
    first = b.norm(b.mm(b.over(gate, b.view(slices, slices.shape[0], n)), width))
    rest = b.over(b.view(corrected, width, n, n_altup - 1), first)
    return b.op(x.shape, b.view(corrected, width, n), rest)


def merge(b: Builder, x: Tensor, pin: int) -> Tensor:
    """The mean of all copies, where an output is wanted."""
    width, n, n_altup = x.shape
    length = _length(b, b.view(x, width, n))
    others = Tensor((width, n, n_altup - 1), (b.view(x, width, n, n_altup - 1),), pin=pin)
    others = b.over(b.over(others, length), _length(b, others))
    cur = b.view(x, width, n)
    for _ in range(n_altup - 1):
        cur = b.over(cur, b.view(others, width, n))
    return b.rows(b.over(cur), b.output_ids)


def _laurel_rank(b: Builder) -> int:
    assert b.arch.per_layer_embeddings is not None
    return b.arch.per_layer_embeddings.laurel_rank


def _length(b: Builder, x: Tensor) -> Tensor:
    """The root of the sum of the squares."""
    return b.over(b.op((1, *x.shape[1:]), b.over(x)))


def _modalities(b: Builder, x: Tensor, n_altup: int) -> Tensor:
    return b.over(b.mm(b.norm(x), n_altup))


def _predict(b: Builder, x: Tensor) -> Tensor:
    """Every copy after the layer, as far as it can be told before."""
    width, n, n_altup = x.shape
    coefficients = b.mm(_modalities(b, b.view(x, width, n), n_altup), n_altup * n_altup)
    turned = b.op((n_altup, width, n), b.view(x, n_altup, width, n))
    product = b.op((width, n_altup, n), turned, b.view(coefficients, n_altup, n_altup, n))
    return b.over(b.op(x.shape, b.view(product, *x.shape)), x)


def _correct(b: Builder, predicted: Tensor, actual: Tensor) -> Tensor:
    """The copies, moved by what the layer's own result was off."""
    width, n, n_altup = predicted.shape
    off = b.op(predicted.shape, b.over(actual, b.view(predicted, width, n)))
    coefficients = b.over(b.mm(_modalities(b, actual, n_altup), n_altup))
    turned = b.op((1, n, n_altup), b.view(coefficients, n, n_altup))
    return b.over(b.over(off, turned), predicted)


def _feed_forward(b: Builder, layer: Layer, x: Tensor, *, is_sparse: bool) -> Tensor:
    up, gate = b.mm(x, layer.n_ff), b.mm(x, layer.n_ff)
    if is_sparse:
        mean = b.op((1, b.n_tokens), gate)
        spread = b.over(b.op((1, b.n_tokens), b.over(b.over(gate, mean))))
        gate = b.over(gate, b.over(mean, b.over(spread)))
    return b.mm(b.over(up, b.over(gate)), x.shape[0])
