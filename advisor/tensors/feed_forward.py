"""The tensors of a feed-forward block, ordinary or of experts."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.architecture import Moe
from advisor.tensors.families import Family
from advisor.tensors.tensor import Tensor, f32, matrix


def feed_forward(n: int, family: Family, ff: int) -> Iterator[Tensor]:
    """An ordinary block of width `ff` in a model of width `n`."""
    if family.ffn == "gated":
        yield matrix("ffn_gate", n, ff)
    yield matrix("ffn_up", n, 2 * ff if family.ffn == "fused" else ff)
    yield matrix("ffn_down", ff, n)
    if family.ffn == "plain":
        yield f32("ffn_up.bias", ff)
        yield f32("ffn_down.bias", n)


def experts(n: int, family: Family, moe: Moe) -> Iterator[Tensor]:
    """Router, routed and shared experts."""
    ff, x = moe.n_ff, moe.n_experts
    native = family.experts_mxfp4
    yield f32("ffn_gate_inp.weight", n, x)
    if family.fused_gate_up_experts:
        yield matrix("ffn_gate_up_exps", n, 2 * ff, x)
    else:
        yield matrix("ffn_gate_exps", n, ff, x, native_mxfp4=native)
        yield matrix("ffn_up_exps", n, ff, x, native_mxfp4=native)
    yield matrix("ffn_down_exps", ff, n, x, native_mxfp4=native)
    if family.expert_bias:
        yield f32("ffn_gate_inp.bias", x)
        yield f32("ffn_gate_exps.bias", ff, x)
        yield f32("ffn_up_exps.bias", ff, x)
        yield f32("ffn_down_exps.bias", n, x)
    if moe.selection_bias:
        yield f32("exp_probs_b.bias", x)
    if moe.n_ff_shared:
        if family.gated_shared_expert:
            yield f32("ffn_gate_inp_shexp.weight", n)
        yield matrix("ffn_gate_shexp", n, moe.n_ff_shared)
        yield matrix("ffn_up_shexp", n, moe.n_ff_shared)
        yield matrix("ffn_down_shexp", moe.n_ff_shared, n)
