"""What the layers of Gemma 3n and 4 have beside their blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from advisor.architecture import Architecture
from advisor.tensors.tensor import Tensor, f32, matrix


def _per_layer_embeddings(arch: Architecture) -> Iterator[Tensor]:
    if arch.per_layer_embeddings:
        width = arch.per_layer_embeddings.n_embd
        yield matrix("inp_gate", arch.n_embd, width)
        yield matrix("proj", width, arch.n_embd)
        yield f32("post_norm.weight", arch.n_embd)


def _gemma3n(arch: Architecture) -> Iterator[Tensor]:
    """AltUp's coefficients and router, and LAuReL's two factors."""
    if arch.per_layer_embeddings is None:
        return
    n, altup = arch.n_embd, arch.per_layer_embeddings.n_altup
    rank = arch.per_layer_embeddings.laurel_rank
    yield from _per_layer_embeddings(arch)
    yield f32("altup_correct_coef.weight", altup, altup)
    yield f32("altup_correct_scale.weight", n)
    yield f32("altup_predict_coef.weight", altup, altup * altup)
    yield matrix("altup_router", n, altup)
    yield f32("altup_router_norm.weight", n)
    yield matrix("laurel_l", n, rank)
    yield matrix("laurel_r", rank, n)
    yield f32("laurel_post_norm.weight", n)


def _gemma4(arch: Architecture) -> Iterator[Tensor]:
    n = arch.n_embd
    yield f32("layer_output_scale.weight", 1)
    if arch.moe:
        yield f32("ffn_gate_inp.scale", n)
        yield f32("pre_ffw_norm_2.weight", n)
        yield f32("post_ffw_norm_1.weight", n)
        yield f32("post_ffw_norm_2.weight", n)
        yield f32("ffn_down_exps.scale", arch.moe.n_experts)
    yield from _per_layer_embeddings(arch)


EXTRAS: Final[Mapping[str, Callable[[Architecture], Iterator[Tensor]]]] = {
    "gemma3n": _gemma3n,
    "gemma4": _gemma4,
}
"""By llama.cpp's name of the architecture."""
