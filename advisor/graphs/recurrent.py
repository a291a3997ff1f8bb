"""Recurrent blocks: Mamba 2, gated delta net and short convolution, and the states that they keep."""

from __future__ import annotations

from advisor.architecture import Recurrent
from advisor.graphs.builder import Builder
from advisor.graphs.nodes import F32, Tensor
from advisor.tensors.families import Family


def recurrent(b: Builder, family: Family, r: Recurrent, x: Tensor) -> Tensor:
    """One recurrent layer's block."""
    if r.kind == "mamba":
        return mamba(b, r, x)
    if r.kind == "mamba2":
        return mamba2(b, r, x)
    if r.kind == "delta_net":
        b.expand(x)
        return delta_net(b, family, r, x)
    if r.kind == "kda":
        b.expand(x)
        return kda(b, family, r, x)
    return short_conv(b, r, x)


def _state(b: Builder, n_values: int) -> Tensor:
    """The states of this batch's sequences, copied out: build_rs."""
    b.expand(b.store())
    states = _stored(b, n_values)
    state = b.op((n_values, b.settings.n_seqs), *states, b.state_ids)
    b.expand(state)
    _move_others(b, n_values, states)
    return state


def _stored(b: Builder, n_values: int) -> tuple[Tensor, ...]:
    return b.stored(F32 * n_values * b.settings.n_seqs)


def _move_others(b: Builder, n_values: int, states: tuple[Tensor, ...]) -> None:
    """The states that this batch does not use: there are none, but the graph has their nodes."""
    b.expand(b.store(b.op((n_values, 0), *states, b.other_state_ids)))


def _convolve(b: Builder, columns: int, d_conv: int, state: Tensor, x: Tensor) -> Tensor:
    """The convolution's input with its state before it; the new state is kept."""
    seqs = b.settings.n_seqs
    steps = b.n_tokens // seqs
    joined = b.op((d_conv - 1 + steps, columns, seqs), state, x)
    b.expand(b.store(joined))
    return joined


def mamba2(b: Builder, r: Recurrent, x: Tensor) -> Tensor:
    n, seqs = b.n_tokens, b.settings.n_seqs
    columns = r.d_inner + 2 * r.n_groups * r.d_state
    state = _state(b, (r.d_conv - 1) * columns)
    projected = b.mm(x, r.d_inner + columns + r.n_heads)
    joined = _convolve(b, columns, r.d_conv, state, b.view(projected, columns, n))
    mixed = b.over(Tensor((columns, n // seqs, seqs), (joined,), pin=b.place.layer))
    dt = b.weighted(b.op((r.n_heads, n), b.view(projected, r.n_heads, n)))
    inner = b.view(mixed, r.d_inner, n)
    b.expand(b.store())
    scanned = Tensor(
        (r.d_inner * n + r.d_state * r.d_inner * seqs,),
        (
            *_stored(b, r.d_state * r.d_inner),
            inner,
            dt,
            b.view(mixed, r.n_groups * r.d_state, n),
            b.view(mixed, r.n_groups * r.d_state, n),
            b.state_ids,
        ),
        pin=b.place.layer,
    )
    b.expand(scanned)
    _move_others(b, r.d_state * r.d_inner, _stored(b, r.d_state * r.d_inner))
    b.expand(b.store(b.view(scanned, r.d_state * r.d_inner, seqs)))
    y = b.over(b.view(scanned, r.d_inner, n), b.weighted(inner))
    z = b.op((r.d_inner, n), b.view(projected, r.d_inner, n))
    y = b.op((r.d_inner, n), z, y)
    if r.has_norm:
        y = b.norm(b.view(y, r.d_inner, n))
    return b.mm(b.view(y, r.d_inner, n), b.arch.n_embd)


def delta_net(b: Builder, family: Family, r: Recurrent, x: Tensor) -> Tensor:
    n, seqs = b.n_tokens, b.settings.n_seqs
    columns = r.d_inner + 2 * r.n_groups * r.d_state
    head_v = r.d_inner // r.n_heads
    qkv = b.mm(x, columns)
    z = b.mm(x, r.d_inner)
    if family.fused_beta_alpha:
        both = b.mm(x, 2 * r.n_heads)
        beta = b.over(b.op((r.n_heads, n), b.view(both, r.n_heads, n)))
        alpha = b.op((r.n_heads, n), b.view(both, r.n_heads, n))
    else:
        beta = b.over(b.view(b.mm(x, r.n_heads), 1, r.n_heads, n))
        alpha = b.view(b.mm(x, r.n_heads), r.n_heads, n)
    decay = b.weighted(b.over(b.weighted(alpha)))
    joined = _convolve(b, columns, r.d_conv, _state(b, (r.d_conv - 1) * columns), qkv)
    state = _state(b, head_v * head_v * r.n_heads)
    mixed = b.over(Tensor((columns, n // seqs, seqs), (joined,), pin=b.place.layer))
    width = r.n_groups * r.d_state
    q, k = (b.over(b.over(b.view(mixed, r.d_state, r.n_groups, n))) for _ in range(2))
    if family.fused_beta_alpha and r.n_groups != r.n_heads:
        wide = (r.d_state, r.n_heads // r.n_groups, r.n_groups, n)
        q, k = (b.view(b.op(wide, b.view(t, width, n)), r.d_state, r.n_heads, n) for t in (q, k))
    v = b.view(mixed, head_v, r.n_heads, n)
    decay, beta = b.view(decay, 1, r.n_heads, n), b.view(beta, 1, r.n_heads, n)
    state = b.view(state, head_v, head_v, r.n_heads, seqs)
    out = b.op((head_v * r.n_heads * (n + head_v * seqs),), q, k, v, decay, beta, state)
    b.expand(b.store(b.view(out, head_v * head_v * r.n_heads, seqs)))
    normed = b.norm(b.view(out, head_v, r.n_heads, n))
    gated = b.over(normed, b.over(b.view(z, head_v, r.n_heads, n)))
    return b.view(b.mm(b.view(gated, r.d_inner, n), b.arch.n_embd), b.arch.n_embd, n)


def short_conv(b: Builder, r: Recurrent, x: Tensor) -> Tensor:
    n, seqs, width = b.n_tokens, b.settings.n_seqs, b.arch.n_embd
    parts = b.mm(b.view(x, width, n // seqs, seqs), 3 * width)
    first, middle, last = (b.view(parts, width, n) for _ in range(3))
    gated = b.over(first, last)
    state = _state(b, (r.d_conv - 1) * width)
    joined = _convolve(b, width, r.d_conv, state, gated)
    mixed = Tensor((width, n), (joined,), pin=b.place.layer)
    return b.view(b.mm(b.over(middle, mixed), width), width, n)


def kda(b: Builder, family: Family, r: Recurrent, x: Tensor) -> Tensor:
    """Kimi's delta attention: three convolutions, and a decay for every value instead of every head."""
    n, seqs = b.n_tokens, b.settings.n_seqs
    heads, dim = r.n_heads, r.d_inner // r.n_heads
    columns = _state(b, 3 * (r.d_conv - 1) * r.d_inner)
    q, k, v = (_kda_part(b, r, columns, x) for _ in range(3))
    decay = b.over(b.weighted(b.mm(b.mm(x, dim), r.d_inner)))
    decay = b.weighted(b.view(decay, dim, heads, n))
    beta = b.over(b.view(b.mm(x, heads), 1, heads, n))
    state = b.view(_state(b, dim * r.d_inner), dim, dim, heads, seqs)
    q, k = (b.over(b.over(t)) for t in (q, k))
    out = b.op((r.d_inner * (n + dim * seqs),), q, k, v, b.view(decay, dim, heads, n), beta, state)
    b.expand(b.store(b.view(out, dim * r.d_inner, seqs)))
    normed = b.norm(b.view(b.op((dim, heads, n), b.view(out, dim, heads, n)), dim, heads, n))
    gate = b.mm(x if family.kda_full_rank_gate else b.mm(x, dim), r.d_inner)
    gated = b.over(normed, b.over(b.view(gate, dim, heads, n)))
    return b.mm(b.op((r.d_inner, n), gated), b.arch.n_embd)


def _kda_part(b: Builder, r: Recurrent, state: Tensor, x: Tensor) -> Tensor:
    """Q, K or V after its convolution."""
    joined = _convolve(b, r.d_inner, r.d_conv, b.view(state, r.d_inner), b.mm(x, r.d_inner))
    mixed = Tensor((r.d_inner, b.n_tokens), (joined,), pin=b.place.layer)
    dim = r.d_inner // r.n_heads
    return b.view(b.over(b.view(mixed, r.d_inner, b.n_tokens)), dim, r.n_heads, b.n_tokens)


def mamba(b: Builder, r: Recurrent, x: Tensor) -> Tensor:
    """Mamba 1, as Jamba has it: the step's rank, B and C have norms."""
    n, seqs, inner = b.n_tokens, b.settings.n_seqs, r.d_inner
    state = _state(b, (r.d_conv - 1) * inner)
    both = b.mm(x, 2 * inner)
    joined = _convolve(b, inner, r.d_conv, state, b.view(both, inner, n))
    mixed = b.over(Tensor((inner, n // seqs, seqs), (joined,), pin=b.place.layer))
    parts = b.mm(mixed, r.n_heads + 2 * r.d_state)
    dt, keys, queries = (b.norm(b.view(parts, width, n)) for width in (r.n_heads, r.d_state, r.d_state))
    dt = b.weighted(b.mm(dt, inner))
    b.expand(b.store())
    states = _stored(b, r.d_state * inner)
    scanned = Tensor(
        (inner * n + r.d_state * inner * seqs,),
        (*states, b.view(mixed, inner, n), dt, keys, queries, b.state_ids),
        pin=b.place.layer,
    )
    b.expand(scanned)
    _move_others(b, r.d_state * inner, states)
    b.expand(b.store(b.view(scanned, r.d_state * inner, seqs)))
    y = b.over(b.view(scanned, inner, n // seqs, seqs), b.weighted(mixed))
    gate = b.view(both, inner, n)
    gate.size += F32 * (n - 1) * inner  # as long as the rows that it is cut from
    y = b.op((inner, n), b.op((inner, n), gate), y)
    return b.mm(y, b.arch.n_embd)
