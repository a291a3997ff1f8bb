"""What stands before the layers and after them."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.architecture import Architecture
from advisor.tensors.families import Family
from advisor.tensors.tensor import Tensor, f32, matrix, norm


def input_tensors(arch: Architecture) -> Iterator[Tensor]:
    n = arch.n_embd
    yield matrix("token_embd", n, arch.n_vocab)
    if arch.is_bert:
        if arch.n_token_types:
            yield f32("token_types.weight", n, arch.n_token_types)
        if arch.n_positions:
            yield f32("position_embd.weight", n, arch.n_positions)
        yield from norm("token_embd_norm", n, bias=True)
    if arch.per_layer_embeddings:
        width = arch.per_layer_embeddings.n_embd
        yield matrix("per_layer_token_embd", width * arch.n_layers, arch.n_vocab)
        yield matrix("per_layer_model_proj", n, width * arch.n_layers)
        yield f32("per_layer_proj_norm.weight", width)
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
        yield f32(f"{family.output_norm}.weight", arch.n_embd)
    if not arch.tied_embeddings and not arch.is_bert:
        yield matrix("output", arch.n_embd, arch.n_vocab)
    if arch.n_labels and arch.is_bert:
        yield matrix("cls", arch.n_embd, arch.n_embd)
        yield f32("cls.bias", arch.n_embd)
    if arch.n_labels:
        yield matrix("cls.output", arch.n_embd, arch.n_labels)
        if arch.is_bert:
            yield f32("cls.output.bias", arch.n_labels)
