"""Feed-forward blocks: llama.cpp's build_ffn and build_moe_ffn."""

from __future__ import annotations

from advisor.architecture import Layer, Moe
from advisor.graphs.builder import Builder
from advisor.graphs.nodes import I32, Tensor
from advisor.tensors.families import Family


def feed_forward(b: Builder, family: Family, x: Tensor, ff: int, pin: int) -> Tensor:
    """An ordinary block of width `ff`, whose matrices are on the device `pin`."""
    if family.ffn == "gated":
        hidden = _gated(b, b.mm(x, ff, pin), b.mm(x, ff, pin))
    elif family.ffn == "fused":
        fused = b.mm(x, 2 * ff, pin)
        hidden = b.op((ff, *fused.shape[1:]), fused)
    else:
        hidden = b.over(b.mm(x, ff, pin))
    return b.mm(hidden, x.shape[0], pin)


def _gated(b: Builder, gate: Tensor, up: Tensor) -> Tensor:
    """The activation of the gate times the other projection."""
    if b.facts.situ:
        return b.over(b.over(b.over(gate), b.over(gate)), b.over(up))
    return b.op(gate.shape, gate, up)


def experts(
    b: Builder,
    family: Family,
    moe: Moe,
    x: Tensor,
    logits: Tensor | None = None,
    table: Tensor | None = None,
) -> Tensor:
    """Router, routed experts and their sum.

    `logits` where the router has an input of its own; `table`: the experts by token, where no router chooses.
    """
    used, n = moe.n_experts_used, x.shape[-1] if len(x.shape) > 1 else 1
    chosen, weights = _route(b, moe, logits or b.mm(x, moe.n_experts), used, n, table)
    b.expand(weights)
    if b.facts.weighted_inputs:
        x = b.over(b.op((x.shape[0], used, n), b.view(x, x.shape[0], 1, n)), weights)
    else:
        x = b.view(x, x.shape[0], 1, n)
    if family.fused_gate_up_experts:
        both = _by_experts(b, 2 * moe.n_ff, used, n, x, chosen)
        hidden = b.op((moe.n_ff, used, n), b.view(both, moe.n_ff, used, n), b.view(both, moe.n_ff, used, n))
    elif family.ffn == "plain":
        hidden = b.over(_by_experts(b, moe.n_ff, used, n, x, chosen))
    else:
        up = _by_experts(b, moe.n_ff, used, n, x, chosen)
        gate = _by_experts(b, moe.n_ff, used, n, x, chosen)
        if family.expert_bias:
            up, gate = (b.over(t, chosen, pin=b.place.experts) for t in (up, gate))
        hidden = _gated(b, gate, up)
    down = _by_experts(b, x.shape[0], used, n, hidden, chosen)
    if family.expert_bias:
        down = b.over(down, chosen, pin=b.place.experts)
    if not b.facts.weighted_inputs:
        down = b.over(down, weights)
    b.expand(down)
    total = b.op((x.shape[0], n), down)  # added up in place, one expert after the other
    b.expand(total)
    return total


def _by_experts(b: Builder, width: int, used: int, n: int, x: Tensor, chosen: Tensor) -> Tensor:
    return Tensor((width, used, n), (x, chosen), pin=b.place.experts)


def _route(
    b: Builder, moe: Moe, logits: Tensor, used: int, n: int, table: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The chosen experts of every token, and their weights."""
    facts = b.facts
    odds = logits if facts.softmax_over_selected else b.over(logits)
    rated = logits if facts.weighted_inputs else odds
    chosen = table or _best(b, moe, rated, used, n)
    weights = b.op((1, used, n), b.view(odds, 1, moe.n_experts, n), chosen)
    if facts.softmax_over_selected:
        weights = b.view(b.over(b.view(weights, used, n)), 1, used, n)
    if facts.normalized_weights or moe.selection_bias:
        flat = b.view(weights, used, n)
        total = b.over(b.op((1, n), flat))
        weights = b.view(b.over(flat, total), 1, used, n)
    return chosen, weights


def _best(b: Builder, moe: Moe, odds: Tensor, used: int, n: int) -> Tensor:
    """The experts that the router rates highest."""
    score = b.weighted(odds) if moe.selection_bias else odds
    order = b.op((moe.n_experts, n), score, unit=I32)
    chosen = Tensor((used, n), (order,), unit=I32, root=order)
    chosen.size += I32 * (n - 1) * (moe.n_experts - used)  # as long as the rows that it is cut from
    return chosen


def shared_expert(b: Builder, family: Family, moe: Moe, x: Tensor) -> Tensor:
    """The expert that every token passes through, weighted by a gate of its own in some families."""
    out = feed_forward(b, family, x, moe.n_ff_shared, b.place.layer)
    if family.gated_shared_expert:
        out = b.over(out, b.over(b.mm(x, 1)))
    return out


def layer_feed_forward(b: Builder, family: Family, layer: Layer, x: Tensor) -> Tensor:
    """Whatever follows a layer's mixer, its residual left out."""
    if not layer.has_experts:
        return feed_forward(b, family, x, layer.n_ff, b.place.ffn)
    moe = b.arch.moe
    assert moe is not None
    if moe.n_latent:
        logits = b.mm(x, moe.n_experts)
        out = experts(b, family, moe, b.mm(x, moe.n_latent), logits)
        out = b.mm(b.norm(out) if family.latent[2] else out, b.arch.n_embd)
    else:
        shape = (moe.n_experts_used, b.n_tokens)
        hashed = layer.hashes_experts
        table = Tensor(shape, (b.tokens,), unit=I32, pin=b.place.layer) if hashed else None
        out = experts(b, family, moe, x, table=table)
    if moe.n_ff_shared:
        out = b.over(out, shared_expert(b, family, moe, x))
    return out
