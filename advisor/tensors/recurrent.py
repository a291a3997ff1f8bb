"""The tensors of a recurrent block."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.architecture import Recurrent
from advisor.tensors.families import Family
from advisor.tensors.tensor import Tensor, f32, matrix, norm


def recurrent(n: int, r: Recurrent, family: Family) -> Iterator[Tensor]:
    """A Mamba, delta-net or short-convolution block."""
    if r.kind == "short_conv":
        yield f32("shortconv.conv.weight", r.d_conv, n)
        yield matrix("shortconv.in_proj", n, 3 * n)
        yield matrix("shortconv.out_proj", n, n)
        return
    if r.kind == "kda":
        yield from _kda(n, r, family)
        return
    if r.kind == "mamba":
        yield from _mamba(n, r)
        return
    conv = r.d_inner + 2 * r.n_groups * r.d_state
    if r.kind == "mamba2":
        yield matrix("ssm_in", n, r.d_inner + conv + r.n_heads)
        yield f32("ssm_conv1d.weight", r.d_conv, conv)
        yield f32("ssm_conv1d.bias", conv)
        yield f32("ssm_dt.bias", r.n_heads)
        yield f32("ssm_a", 1, r.n_heads)
        yield f32("ssm_d", 1, r.n_heads)
        if r.has_norm:
            yield f32("ssm_norm.weight", r.d_inner // r.n_groups, r.n_groups)
    else:
        yield matrix("attn_qkv", n, conv)
        yield matrix("attn_gate", n, r.d_inner)
        yield f32("ssm_conv1d.weight", r.d_conv, conv)
        yield f32("ssm_dt.bias", r.n_heads)
        yield f32("ssm_a", r.n_heads)
        if family.fused_beta_alpha:
            yield matrix("ssm_ba", n, 2 * r.n_heads)
        else:
            yield matrix("ssm_beta", n, r.n_heads)
            yield matrix("ssm_alpha", n, r.n_heads)
        yield f32("ssm_norm.weight", r.d_inner // r.n_heads)
    yield matrix("ssm_out", r.d_inner, n)


def _kda(n: int, r: Recurrent, family: Family) -> Iterator[Tensor]:
    """Kimi delta attention: Q, K and V with a convolution each, and a decay for every channel."""
    for name in ("attn_q", "attn_k", "attn_v"):
        yield matrix(name, n, r.d_inner)
        yield f32(f"ssm_conv1d_{name[-1]}.weight", r.d_conv, 1, r.d_inner)
    yield matrix("ssm_f_a", n, r.d_state)
    yield matrix("ssm_f_b", r.d_state, r.d_inner)
    yield matrix("ssm_beta", n, r.n_heads)
    yield f32("ssm_dt.bias", r.d_inner)
    if family.kda_full_rank_gate:
        yield f32("ssm_a", r.n_heads)
        yield matrix("ssm_g", n, r.d_inner)
    else:
        yield f32("ssm_a", 1, r.n_heads)
        yield matrix("ssm_g_a", n, r.d_state)
        yield matrix("ssm_g_b", r.d_state, r.d_inner)
    yield from norm("ssm_norm", r.d_state)
    yield matrix("attn_output", r.d_inner, n)


def _mamba(n: int, r: Recurrent) -> Iterator[Tensor]:
    """Mamba 1, with Jamba's norms over the time step and over B and C."""
    yield matrix("ssm_in", n, 2 * r.d_inner)
    yield f32("ssm_conv1d.weight", r.d_conv, r.d_inner)
    yield f32("ssm_conv1d.bias", r.d_inner)
    yield matrix("ssm_x", r.d_inner, r.n_heads + 2 * r.d_state)
    yield matrix("ssm_dt", r.n_heads, r.d_inner)
    yield f32("ssm_dt.bias", r.d_inner)
    if r.has_norm:
        yield f32("ssm_dt_norm.weight", r.n_heads)
        yield f32("ssm_b_norm.weight", r.d_state)
        yield f32("ssm_c_norm.weight", r.d_state)
    yield f32("ssm_a", r.d_state, r.d_inner)
    yield f32("ssm_d", r.d_inner)
    yield matrix("ssm_out", r.d_inner, n)
