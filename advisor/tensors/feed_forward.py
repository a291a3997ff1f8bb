"""The tensors of a feed-forward block, ordinary or of experts."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.architecture import Moe
from advisor.tensors.families import Family
from advisor.tensors.tensor import Tensor, f32, i32, matrix, norm


def feed_forward(n: int, family: Family, ff: int) -> Iterator[Tensor]:
    """An ordinary block of width `ff` in a model of width `n`."""
    if family.ffn == "gated":
        yield matrix("ffn_gate", n, ff)
    yield matrix("ffn_up", n, 2 * ff if family.ffn == "fused" else ff)
    yield matrix("ffn_down", ff, n)
    for name in family.ffn_bias:
        yield f32(f"{name}.bias", n if name == "ffn_down" else ff)


def experts(n: int, family: Family, moe: Moe, n_tokens_hashed: int = 0) -> Iterator[Tensor]:
    """Router, routed and shared experts; a table gives those of `n_tokens_hashed` tokens, or of none."""
    ff, x, width = moe.n_ff, moe.n_experts, moe.n_latent or n
    native = family.experts_mxfp4
    yield f32("ffn_gate_inp.weight", n, x)
    if family.fused_gate_up_experts:
        yield matrix("ffn_gate_up_exps", width, 2 * ff, x)
    else:
        if family.ffn != "plain":
            yield matrix("ffn_gate_exps", width, ff, x, native_mxfp4=native)
        yield matrix("ffn_up_exps", width, ff, x, native_mxfp4=native)
    yield matrix("ffn_down_exps", ff, width, x, native_mxfp4=native)
    if moe.n_latent:
        yield from _latent(n, family, moe.n_latent)
    if family.expert_bias:
        yield f32("ffn_gate_inp.bias", x)
        yield f32("ffn_gate_exps.bias", ff, x)
        yield f32("ffn_up_exps.bias", ff, x)
        yield f32("ffn_down_exps.bias", n, x)
    if n_tokens_hashed:
        yield i32("ffn_gate_tid2eid.weight", moe.n_experts_used, n_tokens_hashed)
    elif moe.selection_bias:
        yield f32("exp_probs_b.bias", x)
    if moe.n_ff_shared:
        yield from _shared(n, family, moe.n_ff_shared)


def _latent(n: int, family: Family, width: int) -> Iterator[Tensor]:
    """To the routed experts' own width, and back."""
    down, up, between = family.latent
    yield matrix(down, n, width)
    yield matrix(up, width, n)
    if between:
        yield from norm(between, width)


def _shared(n: int, family: Family, ff: int) -> Iterator[Tensor]:
    if family.gated_shared_expert:
        yield f32("ffn_gate_inp_shexp.weight", n)
    if family.ffn != "plain":
        yield matrix("ffn_gate_shexp", n, ff)
    yield matrix("ffn_up_shexp", n, ff)
    yield matrix("ffn_down_shexp", ff, n)
