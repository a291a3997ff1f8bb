"""What stands before the layers and after them."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.architecture import Architecture
from advisor.tensors.families import Family
from advisor.tensors.sparse import hyper_output
from advisor.tensors.tensor import Tensor, f32, matrix, norm


def input_tensors(arch: Architecture, family: Family) -> Iterator[Tensor]:
    n = arch.n_embd
    yield matrix("token_embd", n, arch.n_vocab)
    if arch.is_bert:
        if arch.n_token_types:
            yield f32("token_types.weight", n, arch.n_token_types)
        if arch.n_positions:
            yield f32("position_embd.weight", n, arch.n_positions)
    if family.embd_norm:
        yield from norm("token_embd_norm", n, bias=family.norm_bias)
    if arch.per_layer_embeddings:
        width = arch.per_layer_embeddings.n_embd
        yield matrix("per_layer_token_embd", width * arch.n_layers, arch.n_vocab)
        yield matrix("per_layer_model_proj", n, width * arch.n_layers)
        yield f32("per_layer_proj_norm.weight", width)
        if copies := arch.per_layer_embeddings.n_altup:
            yield matrix("altup_proj", n, n, copies - 1)
            yield matrix("altup_unembd_proj", n, n, copies - 1)
    yield from _rope_factors(arch)


def _rope_factors(arch: Architecture) -> Iterator[Tensor]:
    n_rot = arch.n_rot or arch.head_dim_full or arch.head_dim
    if arch.rope_factors in ("llama3", "proportional"):
        yield f32("rope_freqs.weight", n_rot // 2)
    elif arch.rope_factors == "longrope":
        yield f32("rope_factors_long.weight", n_rot // 2)
        yield f32("rope_factors_short.weight", n_rot // 2)


def output_tensors(arch: Architecture, family: Family) -> Iterator[Tensor]:
    if family.output_norm:
        yield from norm(family.output_norm, arch.n_embd, bias=family.norm_bias)
    if not arch.tied_embeddings and not arch.is_bert:
        yield matrix("output", arch.n_embd, arch.n_vocab)
        if family.output_bias:
            yield f32("output.bias", arch.n_vocab)
    for name in family.output_vectors:
        yield f32(f"{name}.weight", arch.n_embd)
    yield from hyper_output(arch)
    if arch.n_labels:
        yield from (_classifier(name, arch.n_embd, arch.n_labels) for name in family.classifier)


def _classifier(name: str, n: int, n_labels: int) -> Tensor:
    """One tensor of a reranker's head: a dense layer with a norm, and the labels."""
    head, kind = name.rsplit(".", 1)
    width = n_labels if head == "cls.output" else n
    return matrix(head, n, width) if kind == "weight" and head != "cls.norm" else f32(name, width)
