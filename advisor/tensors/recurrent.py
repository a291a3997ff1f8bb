"""The tensors of a recurrent block."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.architecture import Recurrent
from advisor.tensors.families import Family
from advisor.tensors.tensor import Tensor, f32, matrix


def recurrent(n: int, r: Recurrent, family: Family) -> Iterator[Tensor]:
    """A Mamba, delta-net or short-convolution block."""
    if r.kind == "short_conv":
        yield f32("shortconv.conv.weight", r.d_conv, n)
        yield matrix("shortconv.in_proj", n, 3 * n)
        yield matrix("shortconv.out_proj", n, n)
        return
    conv = r.d_inner + 2 * r.n_groups * r.d_state
    if r.kind == "mamba2":
        yield matrix("ssm_in", n, r.d_inner + conv + r.n_heads)
        yield f32("ssm_conv1d.weight", r.d_conv, conv)
        yield f32("ssm_conv1d.bias", conv)
        yield f32("ssm_dt.bias", r.n_heads)
        yield f32("ssm_a", 1, r.n_heads)
        yield f32("ssm_d", 1, r.n_heads)
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
